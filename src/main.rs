//! The command `connectome`: trains, evaluates and inspects scenes.
#![forbid(unsafe_code)]

mod cli;

use clap::Parser;
use std::{io::Write, process::ExitCode};

/// What a user did wrong, or the machine; the message says what to do.
const FAILURE: u8 = 2;

fn main() -> ExitCode {
    match cli::Arguments::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if cli::is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error cannot be written to, the exit code alone has to tell.
            match cli::stopped_by(&*error) {
                Some(code) => {
                    let _ = writeln!(std::io::stderr(), "{error}");
                    ExitCode::from(code)
                }
                None => {
                    let _ = writeln!(std::io::stderr(), "error: {error}");
                    ExitCode::from(FAILURE)
                }
            }
        }
    }
}
