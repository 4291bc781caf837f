//! The one table of what keys do. The footer, the help, the palette, the documentation and the test for conflicts read it;
//! nothing else says what a key means. Keys inside dialogs are fixed: letters are typed there.

mod chord;

use std::collections::{BTreeMap, HashMap};

pub use chord::Chord;

macro_rules! actions {
    ($($action:ident $name:literal [$($key:literal),*] $group:ident $label:literal $help:literal $($flag:ident)*;)*) => {
        /// What a key, or a command of the palette, does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $(#[doc = $help] $action,)*
        }

        /// Every action, in the order in which help lists them.
        pub static BINDINGS: &[Binding] = &[
            $(Binding {
                action: Action::$action,
                name: $name,
                keys: &[$($key),*],
                group: Group::$group,
                label: $label,
                help: $help,
                writes: binding_flag!(writes $($flag)*),
            },)*
        ];
    };
}

macro_rules! binding_flag {
    ($wanted:ident) => {
        false
    };
    (writes writes) => {
        true
    };
}

/// A row of the table.
#[derive(Debug)]
pub struct Binding {
    /// What is done.
    pub action: Action,
    /// What it is called where keys are configured, and in the palette.
    pub name: &'static str,
    /// The keys that do it unless others are configured.
    pub keys: &'static [&'static str],
    /// Where help lists it.
    pub group: Group,
    /// In a word or two, for the footer.
    pub label: &'static str,
    /// In a sentence.
    pub help: &'static str,
    /// Whether it changes the run or a file: then it is not there when the dashboard may only read.
    pub writes: bool,
}

/// What actions are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where one is on the screen.
    Moving,
    /// Widths and advice.
    Tuning,
    /// The run as a whole.
    Run,
    /// What is shown and how.
    View,
}

impl Group {
    /// Its heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Moving => "Moving",
            Self::Tuning => "Tuning",
            Self::Run => "Run",
            Self::View => "View",
        }
    }
}

actions! {
    Up "up" ["up", "k"] Moving "stage" "Selects the stage, line or document above.";
    Down "down" ["down", "j"] Moving "stage" "Selects the stage, line or document below.";
    First "first" ["g", "home"] Moving "first" "Goes to the first; in a recording, to its start.";
    Last "last" ["G", "end"] Moving "last" "Goes to the last; in a recording, to its end.";
    PageUp "page_up" ["ctrl-u", "pageup"] Moving "page up" "Goes up by half a page.";
    PageDown "page_down" ["ctrl-d", "pagedown"] Moving "page down" "Goes down by half a page.";
    Left "left" ["left"] Moving "back" "Goes back in time while the view is frozen or a recording is played.";
    Right "right" ["right"] Moving "forth" "Goes forth in time while the view is frozen or a recording is played.";
    Enter "open" ["enter"] Moving "open" "Opens the stage, then the documents that failed there, then one of them.";
    Back "back" ["esc"] Moving "back" "Closes what is open, one level at a time; never quits.";
    NextPane "next_pane" ["tab"] Moving "pane" "Goes to the next panel.";
    ZoomPane "zoom_pane" ["e"] Moving "zoom" "Gives the whole screen to the panel, or takes it back.";
    Tab1 "latency" ["1"] Moving "latency" "Shows how long calls take; below 60 columns, the rates.";
    Tab2 "workers" ["2"] Moving "workers" "Shows the workers and what they have in hand; below 60 columns, the times.";
    Tab3 "queue" ["3"] Moving "queue" "Shows the queue and the edges into it.";
    Tab4 "errors" ["4"] Moving "errors" "Shows errors by class and the documents that failed.";
    Tab5 "settings" ["5"] Moving "settings" "Shows the stage's configuration; below 60 columns, how busy it is.";
    Wider "wider" ["+"] Tuning "width" "Widens the stage by one." writes;
    Narrower "narrower" ["-"] Tuning "width" "Narrows the stage by one." writes;
    Double "double" [">"] Tuning "double" "Doubles the stage's width." writes;
    Halve "halve" ["<"] Tuning "halve" "Halves the stage's width." writes;
    SetWidth "width" ["="] Tuning "set" "Asks for a width and sets it." writes;
    WorkerWidth "worker_width" ["f"] Tuning "workers" "Asks for a width of the workers on other machines, of all or of one." writes;
    HandOver "auto" ["A"] Tuning "auto" "Hands the stage's width over to the tuner, until you set it again." writes;
    Undo "undo" ["u"] Tuning "undo" "Takes the last change of widths back." writes;
    Redo "redo" ["ctrl-r"] Tuning "redo" "Makes the change of widths again that was taken back." writes;
    WriteFile "write" ["W"] Tuning "write" "Writes changed widths to the pipeline's file, after showing what changes in it." writes;
    Apply "apply" ["a"] Tuning "apply" "Does what the advisor proposes first." writes;
    Dismiss "dismiss" ["d"] Tuning "dismiss" "Takes the advisor's first proposal away until another is made.";
    WhatIf "what_if" ["x"] Tuning "what-if" "Tries widths on paper: nothing is changed until Enter.";
    Pause "pause" ["P"] Run "pause run" "Pauses the run or has it go on: no documents are taken in, those in hand are finished." writes;
    Drain "drain" ["D"] Run "drain" "Takes no more documents in, finishes those in hand and stops." writes;
    Retry "retry" ["R"] Run "retry" "Tries the documents that failed at the stage again." writes;
    Quit "quit" ["q", "ctrl-c"] Run "quit" "Leaves; of a run's own dashboard asks what becomes of the run.";
    QuitKeep "quit_keep" ["Q"] Run "quit, keep" "Leaves, and leaves what is on the screen behind.";
    Suspend "suspend" ["ctrl-z"] Run "suspend" "Stops the program until the shell brings it back to the foreground.";
    Freeze "freeze" ["space"] View "freeze" "Freezes the view while the run goes on; plays or stops a recording.";
    Filter "filter" ["/"] View "filter" "Shows only the stages whose name, kind or tier has a text in it; with ! the others.";
    Sort "sort" ["s"] View "sort" "Chooses what stages are sorted by.";
    Reverse "reverse" ["r"] View "reverse" "Turns the order round.";
    Lock "lock" ["o"] View "lock" "Keeps stages where they are while their figures change.";
    ZoomIn "zoom_in" ["["] View "zoom" "Shows a shorter time in the chart; plays a recording slower.";
    ZoomOut "zoom_out" ["]"] View "zoom" "Shows a longer time in the chart; plays a recording faster.";
    Baseline "baseline" ["b"] View "baseline" "Draws a line at the throughput of now, or takes it away.";
    Graph "graph" ["v"] View "graph" "Shows or hides the graph.";
    GraphFull "graph_full" ["V"] View "graph" "Gives the whole screen to the graph, or takes it back.";
    Log "log" ["l"] View "log" "Gives the whole screen to the events, or takes it back.";
    Copy "copy" ["y"] View "copy" "Copies what is selected to the terminal's clipboard.";
    Mouse "mouse" ["m"] View "mouse" "Takes the mouse, or leaves it to the terminal, which can then select text.";
    NextTheme "theme" ["t"] View "theme" "Takes the next theme: dark, light, ansi16, mono.";
    Palette "palette" [":", "ctrl-p"] View "cmd" "Lists all that can be done, by name.";
    Help "help" ["?", "f1"] View "help" "Lists all keys.";
}

/// The table for the documentation, as Markdown: key, the name to configure it by, what it does.
#[must_use]
pub fn table() -> String {
    let mut text = "| key | name | what it does |\n|---|---|---|\n".to_owned();
    for binding in BINDINGS {
        let keys: Vec<String> = binding.keys.iter().map(|key| format!("`{key}`")).collect();
        text.push_str(&format!("| {} | `{}` | {} |\n", keys.join(" "), binding.name, binding.help));
    }
    text
}

impl Action {
    /// Its row of the table.
    #[must_use]
    pub fn binding(self) -> &'static Binding {
        BINDINGS
            .iter()
            .find(|binding| binding.action == self)
            .expect("every action has a row: they are made of one list")
    }
}

/// Which key does what, as configured.
#[derive(Clone, Debug)]
pub struct Keys {
    by_chord: HashMap<Chord, Action>,
    by_action: BTreeMap<Action, Vec<Chord>>,
}

impl Default for Keys {
    fn default() -> Self {
        Self::from_map(&BTreeMap::new()).expect("the table's own keys do not conflict")
    }
}

impl Keys {
    /// The table's keys, with others for the actions that are named: `("undo", "ctrl-z")`. Several keys are set apart by
    /// spaces; they replace all that the action had. An empty text leaves it to the palette.
    ///
    /// # Errors
    /// All that is wrong, a sentence a line: an action or a key that there is not, a key that does two things.
    pub fn from_map(configured: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut wrong: Vec<String> = configured.keys().filter_map(|name| unknown(name)).collect();
        let mut keys = Self { by_chord: HashMap::new(), by_action: BTreeMap::new() };
        for binding in BINDINGS {
            let own = configured.get(binding.name);
            let named: Vec<&str> = own.map_or(binding.keys.to_vec(), |keys| keys.split_whitespace().collect());
            for name in named {
                match name.parse::<Chord>() {
                    Ok(chord) => wrong.extend(keys.bind(chord, binding)),
                    Err(error) => wrong.push(format!("key of `{}`: {error}", binding.name)),
                }
            }
        }
        // The way out and the way to all others are never lost by configuration.
        for action in [Action::Quit, Action::Back, Action::Enter] {
            if keys.of(action).is_empty() {
                wrong.push(format!("`{}` has no key\nhint: give it one", action.binding().name));
            }
        }
        if wrong.is_empty() { Ok(keys) } else { Err(wrong.join("\n")) }
    }

    fn bind(&mut self, chord: Chord, binding: &'static Binding) -> Option<String> {
        if let Some(other) = self.by_chord.insert(chord, binding.action) {
            let other = other.binding().name;
            return Some(format!(
                "key `{chord}` does both `{other}` and `{}`\nhint: give one of them another key",
                binding.name
            ));
        }
        self.by_action.entry(binding.action).or_default().push(chord);
        None
    }

    /// What a key does.
    #[must_use]
    pub fn action(&self, chord: Chord) -> Option<Action> {
        self.by_chord.get(&chord).copied()
    }

    /// The keys that do something.
    #[must_use]
    pub fn of(&self, action: Action) -> &[Chord] {
        self.by_action.get(&action).map_or(&[], Vec::as_slice)
    }
}

fn unknown(name: &str) -> Option<String> {
    if BINDINGS.iter().any(|binding| binding.name == name) {
        return None;
    }
    let nearest =
        BINDINGS.iter().map(|binding| binding.name).min_by_key(|other| strsim::damerau_levenshtein(name, other));
    Some(format!("there is no action `{name}`\nhint: did you mean `{}`?", nearest.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(pairs: &[(&str, &str)]) -> Result<Keys, String> {
        Keys::from_map(&pairs.iter().map(|(name, key)| ((*name).to_owned(), (*key).to_owned())).collect())
    }

    #[test]
    fn no_key_does_two_things_and_every_name_is_there_once() {
        let keys = configured(&[]).expect("no conflicts");
        let mut names: Vec<_> = BINDINGS.iter().map(|binding| binding.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BINDINGS.len());
        for binding in BINDINGS {
            assert!(!keys.of(binding.action).is_empty(), "`{}` has no key", binding.name);
            assert!(binding.help.ends_with('.') && !binding.label.is_empty());
        }
    }

    #[test]
    fn the_documentation_has_a_row_for_each() {
        let table = table();
        assert_eq!(table.lines().count(), BINDINGS.len() + 2);
        assert!(table.contains("| `+` | `wider` | Widens the stage by one. |"));
        // No sign in it ends a cell early.
        assert!(table.lines().all(|line| line.matches('|').count() == 4));
    }

    #[test]
    fn keys_are_taken_from_configuration() {
        let keys = configured(&[("undo", "ctrl-y f5")]).expect("they are free");
        assert_eq!(keys.action("f5".parse().expect("a key")), Some(Action::Undo));
        assert_eq!(keys.action("u".parse().expect("a key")), None, "the table's own is replaced");
        assert!(configured(&[("undo", "W")]).is_err_and(|error| error.contains("`undo`") && error.contains("`write`")));
        assert!(configured(&[("undoo", "z")]).is_err_and(|error| error.contains("did you mean `undo`")));
        assert!(configured(&[("undo", "ctrll-z")]).is_err_and(|error| error.contains("key of `undo`")));
        assert!(configured(&[("quit", "")]).is_err_and(|error| error.contains("no key")));
    }
}
