//! Workers on other machines.

use super::family::{Family, Labels, Number, gauge, label};
use crate::monitor::{FleetSnapshot, WorkerSnapshot};

/// What is said of the workers of a run that several machines share; the counts are there where it is not, as 0.
pub(super) fn families(fleet: &FleetSnapshot) -> Vec<Family> {
    let alive: Vec<&WorkerSnapshot> = fleet.workers.iter().filter(|worker| worker.alive).collect();
    let each = |family: Family, figure: fn(&WorkerSnapshot) -> Number| {
        family.with_all(alive.iter().map(|worker| (of(worker), figure(worker))))
    };
    let widths = alive.iter().flat_map(|worker| {
        worker.stages.iter().map(|stage| {
            let mut labels = of(worker);
            labels.push(("stage", stage.id.clone()));
            (labels, stage.width as u64)
        })
    });
    vec![
        gauge("fleet_workers", "Workers on other machines that are there.").is(fleet.alive as u64),
        gauge("fleet_workers_gone", "Workers on other machines that were there and have gone.").is(fleet.gone as u64),
        gauge("fleet_in_hand", "Documents that workers on other machines have in hand.").is(fleet.in_hand as u64),
        gauge("fleet_documents_per_second", "Documents a second that workers on other machines bring to an end.")
            .is(fleet.documents_per_second),
        each(gauge("fleet_worker_documents", "Documents that ended at the worker since it began."), |worker| {
            worker.documents.into()
        }),
        each(gauge("fleet_worker_in_hand", "Documents that the worker has in hand."), |worker| worker.in_hand.into()),
        each(gauge("fleet_worker_cpus_used", "CPUs that the worker keeps busy."), |worker| worker.cpus_used.into()),
        each(gauge("fleet_worker_rss_bytes", "Bytes of memory that the worker holds."), |worker| {
            worker.rss_bytes.into()
        }),
        gauge("fleet_worker_stage_width", "The width of a stage of the worker.").with_all(widths),
    ]
}

fn of(worker: &WorkerSnapshot) -> Labels {
    label("worker", &worker.id)
}
