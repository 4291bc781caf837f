//! The dashboard's loop, on a thread of its own: a full event loop cannot starve it, and it cannot make a run wait. It asks
//! for the newest snapshot ten times a second, draws when something changed, and says what it costs.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::time::{ClockId, clock_gettime};

use super::glyphs::GlyphSet;
use super::keys::Keys;
use super::link::{Advisor, Link};
use super::message::{Answer, Effect, Message, Wish};
use super::model::{Model, Options};
use super::terminal::Screen;
use super::theme::{Theme, ThemeName};
use super::update;
use crate::control::Command;
use crate::monitor::Snapshot;

/// Ten frames a second look alive; more cost CPU that the run could use.
const FRAME: Duration = Duration::from_millis(100);
/// Nobody looks at a terminal without the focus, or only out of the corner of an eye.
const UNFOCUSED: Duration = Duration::from_secs(1);
/// Over how long the dashboard's own CPU is measured.
const COST: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What the user wanted.
    pub wish: Wish,
    /// What was on the screen, where the user wanted it kept: lines to print once the terminal is given back.
    pub screen: Option<String>,
}

/// Shows a run until the user leaves or it is over. Blocks: call it on a thread of its own. The terminal is the caller's
/// again when it returns.
///
/// # Errors
/// There is no terminal, or it is gone; [`super::restore`] was called meanwhile (then of kind `Interrupted`).
pub fn run(
    link: &mut dyn Link,
    advisor: &mut dyn Advisor,
    options: Options,
    keys: Keys,
    theme: ThemeName,
    glyphs: GlyphSet,
) -> io::Result<Ending> {
    let screen = Screen::take()?;
    let model = Model::new(screen.size()?, options, keys);
    let (theme, now) = (Theme::new(theme, glyphs), Instant::now());
    let cost = Cost { began: thread_cpu(), last: (now, Duration::ZERO), share: 0.0 };
    Dashboard { link, advisor, model, theme, glyphs, screen, began: now, cost, focused: true, dirty: true }.show()
}

struct Dashboard<'a> {
    link: &'a mut dyn Link,
    advisor: &'a mut dyn Advisor,
    model: Model,
    theme: Theme,
    glyphs: GlyphSet,
    screen: Screen,
    began: Instant,
    cost: Cost,
    focused: bool,
    /// Whether something is to be drawn.
    dirty: bool,
}

/// What this thread costs.
struct Cost {
    began: Duration,
    last: (Instant, Duration),
    share: f64,
}

impl Dashboard<'_> {
    fn show(mut self) -> io::Result<Ending> {
        let mut second = u64::MAX;
        loop {
            let frame = Instant::now();
            let now = frame.duration_since(self.began);
            // Times that are shown grow by the second also while nothing else happens.
            if std::mem::replace(&mut second, now.as_secs()) != now.as_secs() {
                self.dirty = true;
            }
            self.model_sees(now)?;
            if let Some(ending) = self.look()? {
                return Ok(ending);
            }
            if std::mem::take(&mut self.dirty) {
                docmill_api::crash::panic_point("dashboard", "draw");
                self.screen.draw(&self.model, &self.theme)?;
            }
            let pause = if self.focused { FRAME } else { UNFOCUSED };
            if let Some(ending) = self.listen(frame + pause)? {
                return Ok(ending);
            }
        }
    }

    /// The clock, and what this thread costs.
    fn model_sees(&mut self, now: Duration) -> io::Result<()> {
        if let Some(used) = self.cost.measure() {
            self.link.note_cpu(used);
        }
        let said = self.model.said.is_some();
        self.tell(Message::Clock { now: now.as_secs_f64(), cpu: self.cost.share })?;
        self.dirty |= said && self.model.said.is_none();
        Ok(())
    }

    /// Looks whether there is a newer snapshot.
    fn look(&mut self) -> io::Result<Option<Ending>> {
        let snapshot = self.link.latest();
        let (live, playback) = (self.link.is_live(), self.link.replay().map(|replay| replay.playback()));
        self.dirty |= live != self.model.live || playback != self.model.playback;
        self.tell(Message::Source { live, playback })?;
        if is_same(&snapshot, &self.model.newest) {
            return Ok(None);
        }
        self.dirty = true;
        let known = self.model.known();
        if let Some(replay) = self.link.replay() {
            let past = replay.since(known).to_vec();
            self.tell(Message::Past(past))?;
        }
        let (advice, alerts) = self.advisor.advise(&snapshot);
        self.tell(Message::Advised(Box::new(advice), alerts))?;
        self.tell(Message::Snapshot(snapshot))
    }

    /// Takes what the user does until the next frame is due.
    fn listen(&mut self, until: Instant) -> io::Result<Option<Ending>> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !event::poll(left)? {
                return Ok(None);
            }
            let message = match event::read()? {
                Event::Key(key) => Message::Key(key),
                Event::Paste(text) => Message::Paste(text),
                Event::Mouse(mouse) => Message::Mouse(mouse),
                Event::Resize(..) => Message::Resize(self.screen.size()?),
                Event::FocusGained => {
                    self.focused = true;
                    self.dirty = true;
                    return Ok(None);
                }
                Event::FocusLost => {
                    self.focused = false;
                    continue;
                }
            };
            self.dirty = true;
            // Whoever presses keys looks on, whatever the terminal says of its focus.
            let key = matches!(message, Message::Key(_));
            if let Some(ending) = self.tell(message)? {
                return Ok(Some(ending));
            }
            if key && !self.focused {
                return Ok(None);
            }
        }
    }

    fn tell(&mut self, message: Message) -> io::Result<Option<Ending>> {
        for effect in update::update(&mut self.model, message) {
            if let Some(ending) = self.does(effect)? {
                return Ok(Some(ending));
            }
        }
        Ok(None)
    }

    fn does(&mut self, effect: Effect) -> io::Result<Option<Ending>> {
        let answer = match effect {
            Effect::Send(command, told) => {
                let stage = match &command {
                    Command::SetWidth { stage, .. } => stage.clone(),
                    _ => String::new(),
                };
                Answer::Sent { stage, result: self.link.send(command).map(|()| told) }
            }
            Effect::Propose(widths) => Answer::Proposed(self.link.propose(&widths)),
            Effect::Write(change) => Answer::Written(self.link.write(&change).map(|()| change)),
            Effect::Retry(stage) => {
                let result = self.link.retry_failed(&stage);
                Answer::Retried(stage, result)
            }
            Effect::Predict(changes) => {
                let newest = Arc::clone(&self.model.newest);
                Answer::Predicted(self.advisor.predict(&newest, &changes).map(Box::new))
            }
            Effect::Seek(seek) => {
                if let Some(replay) = self.link.replay() {
                    replay.seek(seek);
                }
                return Ok(None);
            }
            Effect::Mouse(on) => return self.screen.mouse(on).map(|()| None),
            Effect::NextTheme => {
                self.theme = Theme::new(self.theme.name.next(), self.glyphs);
                self.model.say(format!("theme {}", self.theme.name));
                return Ok(None);
            }
            Effect::Copy(text) => return self.screen.copy(&text).map(|()| None),
            Effect::Suspend => return self.screen.suspend(self.model.mouse).map(|()| None),
            Effect::Leave(wish, keep) => {
                let screen = keep.then(|| picture(&self.model, &self.theme));
                return Ok(Some(Ending { wish, screen }));
            }
        };
        self.tell(Message::Answer(answer))
    }
}

/// Whether a snapshot is the one that was seen last: published once and handed out again, or read twice from a socket.
fn is_same(new: &Arc<Snapshot>, last: &Arc<Snapshot>) -> bool {
    Arc::ptr_eq(new, last) || (new.run == last.run && new.seconds == last.seconds && new.state == last.state)
}

/// The screen as text.
fn picture(model: &Model, theme: &Theme) -> String {
    let area = Rect::from((ratatui::layout::Position::ORIGIN, model.size));
    let mut buffer = Buffer::empty(area);
    super::draw(model, theme, area, &mut buffer);
    let line = |y: u16| {
        let cells = (0..area.width).filter_map(|x| buffer.cell((x, y)));
        cells.map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned() + "\n"
    };
    (0..area.height).map(line).collect()
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

impl Cost {
    /// What was used so far, once in a while.
    fn measure(&mut self) -> Option<Duration> {
        let (then, used_then) = self.last;
        let passed = then.elapsed();
        if passed < COST {
            return None;
        }
        let used = thread_cpu().saturating_sub(self.began);
        self.share = used.saturating_sub(used_then).as_secs_f64() / passed.as_secs_f64();
        self.last = (Instant::now(), used);
        Some(used)
    }
}
