//! Requests of the user or the system to stop.

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::{
    env, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// The signals that end a run: the first one after its epoch, a second one at once.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// From now on signals are noted.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn listen() -> io::Result<Self> {
        let (first, signals) = (Arc::new(AtomicBool::new(false)), Self::default());
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that only a second one finds the flag set.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&first))?;
            flag::register(signal, Arc::clone(&first))?;
            flag::register_usize(signal, Arc::clone(&signals.0), signal as usize)?;
        }
        Ok(signals)
    }

    /// The signal that came, if one did.
    pub fn received(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal as i32),
        }
    }
}

/// A run was stopped by a signal.
#[derive(Debug, thiserror::Error)]
#[error("stopped by {} after epoch {epoch}; {advice}", name(*signal))]
pub struct Stopped {
    /// The signal.
    pub signal: i32,
    /// The last epoch.
    pub epoch: u64,
    /// How to go on.
    pub advice: String,
}

fn name(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}

/// The command that goes on with the run: the present one, with `--resume`.
pub fn command_to_resume() -> String {
    let mut words: Vec<String> = env::args_os().map(|word| quoted(&word.to_string_lossy())).collect();
    if words.iter().all(|word| word != "--resume") {
        words.push("--resume".to_owned());
    }
    words.join(" ")
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-./=,:+@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_part_them() {
        let cases = [("a/b.ron", "a/b.ron"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("--x=1", "--x=1")];
        for (word, expected) in cases {
            assert_eq!(quoted(word), expected);
        }
    }
}
