//! What a command prints, passed on line by line while it runs.
//!
//! Through a pipe, not a file: a file made and removed for each command costs the file system more than
//! the rest of a short step, and a command that prints without end would fill a disk.

use std::io::{PipeReader, PipeWriter, Read, pipe};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::stage::Progress;

/// What is read at once.
const PIECE_BYTES: usize = 64 << 10;
/// More pieces than a pipe holds.
const LEFT_PIECES: usize = 16;

/// The reading end of a command's standard output and standard error.
pub(super) struct Printed<'a> {
    /// `None` when every writer has closed its end.
    pub(super) pipe: Option<PipeReader>,
    rest: Vec<u8>,
    progress: &'a dyn Progress,
}

impl<'a> Printed<'a> {
    /// A pipe whose lines go to `progress`, and the end for the command.
    ///
    /// # Errors
    /// If the system gives no pipe.
    pub(super) fn open(progress: &'a dyn Progress) -> std::io::Result<(Printed<'a>, PipeWriter)> {
        let (reader, writer) = pipe()?;
        Ok((Printed { pipe: Some(reader), rest: Vec::new(), progress }, writer))
    }

    /// Reads what is there; to be called when the pipe has something, for it waits otherwise.
    pub(super) fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut piece = [0; PIECE_BYTES];
        match pipe.read(&mut piece) {
            Ok(0) => self.pipe = None,
            Ok(n) => self.take(&piece[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => {
                self.progress.log("(the rest of its output could not be read)");
                self.pipe = None;
            }
        }
    }

    fn take(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        let mut lines = self.rest.split(|byte| *byte == b'\n');
        let unfinished = lines.next_back().map_or(0, <[u8]>::len);
        for line in lines {
            self.progress.log(String::from_utf8_lossy(line).trim_end_matches('\r'));
        }
        self.rest.drain(..self.rest.len() - unfinished);
        if self.rest.len() > PIECE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.rest.is_empty() {
            self.progress.log(&String::from_utf8_lossy(&self.rest));
            self.rest.clear();
        }
    }

    /// Reads what the ended command left in the pipe. Neither waits for a process that still holds the
    /// other end, nor reads on for as long as it writes.
    pub(super) fn finish(mut self) {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        for _ in 0..LEFT_PIECES {
            let Some(pipe) = &self.pipe else { break };
            let mut watched = [PollFd::new(pipe, PollFlags::IN)];
            if !poll(&mut watched, Some(&at_once)).is_ok_and(|n| n > 0) {
                break;
            }
            self.read();
        }
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Progress for Lines {
        fn advance(&self, _unit: &str, _done: u64, _total: Option<u64>) {}
        fn metric(&self, _name: &str, _value: f64) {}
        fn log(&self, line: &str) {
            self.0.lock().expect("lines").push(line.to_owned());
        }
    }

    #[test]
    fn lines_arrive_whole_however_they_were_written() {
        let lines = Lines::default();
        let (mut printed, mut writer) = Printed::open(&lines).expect("a pipe");
        for piece in ["one\ntw", "o\r\n\nthr", "ee \u{fffd}"] {
            writer.write_all(piece.as_bytes()).expect("write");
            printed.read();
        }
        writer.write_all(b" \xff").expect("write");
        // The other end is still open, as that of a process that outlives the command would be.
        printed.finish();
        assert_eq!(*lines.0.lock().expect("lines"), ["one", "two", "", "three \u{fffd} \u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let lines = Lines::default();
        let (mut printed, writer) = Printed::open(&lines).expect("a pipe");
        let bytes = 4 * PIECE_BYTES;
        let writing = std::thread::spawn(move || {
            let mut writer = writer;
            writer.write_all(&vec![b'x'; bytes])
        });
        while printed.pipe.is_some() {
            printed.read();
        }
        writing.join().expect("the thread").expect("write");
        printed.finish();
        let lines = lines.0.lock().expect("lines");
        assert!(lines.len() > 1, "{}", lines.len());
        assert_eq!(lines.iter().map(String::len).sum::<usize>(), bytes);
    }
}
