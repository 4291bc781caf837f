//! The child's side of process isolation: the same program, told by frames on its standard input which stage to be.
//!
//! It is started with a socket as standard input, over which it both reads and writes; standard output and error are
//! the engine's to keep as a log, so a stray print breaks nothing.

use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docmill_api::frames::{self, Message, PROTOCOL};
use docmill_api::{
    BuildContext, CancellationToken, CpuStage, Digest, Node, Outputs, Record, Registry, StageError, Step, StepContext,
};
use rustix::process::{Resource, Rlimit, getppid, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::cpu::{let_others_go_first, message_of};
use super::sandbox;

/// The stack on which a child parses. Recursion of a hostile document ends here in an abort of the child, not of the
/// run: 100,000 nested arrays fit, which an 8 MiB stack does not survive.
const STACK_BYTES: usize = 256 << 20;

/// How often a child looks whether its engine lives.
const WATCH: Duration = Duration::from_millis(250);

/// How many times its timeout a document's CPU time may be.
const CPU_FACTOR: u64 = 8;

/// What one step of a child may gather before it is sent: large enough that a frame's cost does not show.
const QUOTA_BYTES: u64 = 4 << 20;

/// Runs a stage for the engine until the engine closes the socket. Call it from a `main` of your own when you embed
/// docmill; the program's hidden command `stage-worker` does. On Linux the calling thread, and all that it starts, has a higher
/// niceness from then on.
///
/// # Errors
/// The socket is none, or the engine speaks another protocol.
pub fn serve(registry: &Registry) -> io::Result<()> {
    let_others_go_first();
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let engine = getppid();
    let mut to = &socket;
    // Unbuffered: what follows is for the thread that reads on.
    let Some((hello, _)) = frames::read(&mut to)? else { return Ok(()) };
    // The stage loads what it needs before this thread, and all that it starts, may load no more.
    let stage = match begin(registry, hello) {
        Ok(stage) => stage,
        Err(error) => return frames::write(&mut to, &Message::Failed { error }, &[]),
    };
    let confined = sandbox::confine().into_iter().map(str::to_owned).collect();
    frames::write(&mut to, &Message::Ready { protocol: PROTOCOL, confined }, &[])?;
    let worker = std::thread::Builder::new()
        .name("stage-worker".into())
        .stack_size(STACK_BYTES)
        .spawn(move || converse(stage.as_ref(), &socket))?;
    // Without the engine there is nobody to work for, and a stage that hangs would not see its socket close. Not by the
    // signal that Linux sends at a parent's death: it comes when the *thread* ends that started this process.
    while !worker.is_finished() {
        if getppid() != engine {
            std::process::exit(1);
        }
        std::thread::park_timeout(WATCH);
    }
    worker.join().map_err(|panic| io::Error::other(message_of(panic.as_ref())))?
}

fn converse(stage: &dyn CpuStage, socket: &UnixStream) -> io::Result<()> {
    let mut from = BufReader::new(socket);
    let mut to = socket;
    while let Some((message, body)) = frames::read(&mut from)? {
        let Message::Input { document, payload, timeout_ms } = message else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "expected an input"));
        };
        let record = Record { document: Arc::new(*document), payload: frames::join(payload, body)? };
        limit_cpu(timeout_ms);
        let end = work(stage, record, timeout_ms, &mut to)?;
        frames::write(&mut to, &end, &[])?;
    }
    Ok(())
}

fn begin(registry: &Registry, hello: Message) -> Result<Arc<dyn CpuStage>, StageError> {
    let Message::Hello { protocol, kind, config, memory } = hello else {
        return Err(StageError::fatal("the engine did not say hello"));
    };
    if protocol != PROTOCOL {
        return Err(StageError::fatal(format!("the engine speaks protocol {protocol}, this program {PROTOCOL}")));
    }
    if let Some(memory) = memory {
        limit_memory(memory);
    }
    let factory = registry.get(&kind).ok_or_else(|| StageError::fatal(format!("no stage of kind `{kind}` here")))?;
    let cx = BuildContext {
        stage: kind.clone(),
        base: PathBuf::new(),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..BuildContext::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StageError::fatal(format!("no event loop: {error}")))?;
    match runtime.block_on(factory.build(config, &cx))? {
        Node::Cpu(stage) => Ok(stage),
        _ => Err(StageError::fatal(format!("a stage of kind `{kind}` does not run in a process"))),
    }
}

/// Limits the address space, to which the stack belongs. The run's report shows the memory that was used.
fn limit_memory(bytes: u64) {
    sandbox::limit(Resource::As, bytes.saturating_add(STACK_BYTES as u64).saturating_add(mapped()));
}

/// What this process has mapped already, in bytes: the program, some hundred megabytes of addresses that no document takes.
/// Nothing where the system does not tell.
fn mapped() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    size.and_then(|kibibytes| kibibytes.trim().parse::<u64>().ok()).map_or(0, |kibibytes| kibibytes * 1024)
}

/// Ends this process should it go on computing long after the time for one document, because nobody is there to kill it.
/// Only the soft limit, so that the next document can raise it: a reader has several threads, hence the factor.
fn limit_cpu(timeout_ms: u64) {
    if timeout_ms == 0 {
        return;
    }
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec.unsigned_abs();
    let limit = used + CPU_FACTOR * timeout_ms.div_ceil(1000) + 1;
    // A system that refuses has no such limit.
    let _ = setrlimit(Resource::Cpu, Rlimit { current: Some(limit), maximum: getrlimit(Resource::Cpu).maximum });
}

fn work(stage: &dyn CpuStage, record: Record, timeout_ms: u64, to: &mut &UnixStream) -> io::Result<Message> {
    let mut deadline = (timeout_ms > 0).then(|| Instant::now() + Duration::from_millis(timeout_ms));
    let mut cx = StepContext::new(CancellationToken::new(), deadline);
    let mut skip = None;
    let opened = catch_unwind(AssertUnwindSafe(|| stage.open(&cx, record)));
    let mut work = match opened.map_err(|panic| crashed(panic.as_ref())).and_then(|opened| opened) {
        Ok(work) => work,
        Err(error) => return Ok(Message::Failed { error }),
    };
    loop {
        let mut outputs = Outputs::with_quota(QUOTA_BYTES);
        let stepped = catch_unwind(AssertUnwindSafe(|| work.step(&cx, &mut outputs)));
        let step = match stepped.map_err(|panic| crashed(panic.as_ref())).and_then(|stepped| stepped) {
            Ok(step) => step,
            Err(error) => return Ok(Message::Failed { error }),
        };
        if !outputs.take_found().is_empty() {
            let error = StageError::rejected("a stage in a process of its own cannot find further documents");
            return Ok(Message::Failed { error });
        }
        let (records, reason) = outputs.into_parts();
        skip = reason.or(skip);
        let sending = Instant::now();
        for record in &records {
            let (message, body) = frames::output(record);
            frames::write(to, &message, body.as_ref())?;
        }
        // Waiting for room at the engine's side is none of the stage's time.
        deadline = deadline.map(|deadline| deadline + sending.elapsed());
        cx = StepContext::new(CancellationToken::new(), deadline);
        if step == Step::Done {
            return Ok(Message::End { skip });
        }
    }
}

fn crashed(panic: &(dyn std::any::Any + Send)) -> StageError {
    StageError::rejected(format!("crashed: {}", message_of(panic)))
}
