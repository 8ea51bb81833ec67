//! Starts `perch run` for a test and speaks HTTP with it. Every process ends with the test that started it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A scene small enough for a debug build on a busy machine.
const CONFIG: &str = "[[cameras]]\nsource = \"test\"\nsize = \"640x360\"\n";

/// A running `perch run` on the test scene.
pub(crate) struct Appliance {
    /// Where it serves.
    pub address: SocketAddr,
    /// What it printed on standard output.
    pub greeting: String,
    /// Where it records.
    pub data: PathBuf,
    /// What it logs.
    log: PathBuf,
    child: Child,
}

impl Appliance {
    /// Starts it on a data directory and waits for its first part.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, "")
    }

    /// The same with more in its configuration.
    pub(crate) fn start_with(data: &Path, more: &str) -> Self {
        Self::start_at(data, "127.0.0.1:0", more)
    }

    /// The same with another address to listen at.
    pub(crate) fn start_at(data: &Path, listen: &str, more: &str) -> Self {
        let log = data.with_extension("log");
        let config = data.with_extension("toml");
        let text = format!("{CONFIG}{more}");
        std::fs::write(&config, text).expect("the configuration is written");
        // The shell ends the appliance when its standard input closes, which it does with this process at the latest.
        let mut child = Command::new("sh")
            .args(["-c", "\"$@\" & read -r _; kill -TERM $!; wait $!", "sh"])
            .args([
                env!("CARGO_BIN_EXE_perch"),
                "run",
                "--listen",
                listen,
                "--config",
            ])
            .arg(&config)
            .arg("--data")
            .arg(data)
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).expect("the log is made"))
            .spawn()
            .expect("the appliance starts");
        let mut greeting = String::new();
        let stdout = child.stdout.take().expect("its standard output");
        BufReader::new(stdout)
            .read_line(&mut greeting)
            .expect("a line");
        let address = greeting
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .and_then(|address| address.replace("localhost", "127.0.0.1").parse().ok())
            .unwrap_or_else(|| panic!("an address to open, not {greeting:?}"));
        let appliance = Self {
            address,
            greeting,
            data: data.to_owned(),
            log,
            child,
        };
        let up = (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            appliance.get("/live/test/low/index.m3u8").status == 200
        });
        assert!(up, "the appliance shows its first part");
        appliance
    }

    /// One for all tests that only look.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Appliance> = OnceLock::new();
        SHARED.get_or_init(|| {
            let dir = tempfile::tempdir().expect("a temporary folder").keep();
            Self::start(&dir.join("data"))
        })
    }

    /// The lines that it has logged so far and that contain `text`.
    pub(crate) fn logged(&self, text: &str) -> Vec<String> {
        let log = std::fs::read_to_string(&self.log).expect("its log");
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends SIGTERM; returns how it ended and after how long.
    pub(crate) fn stop(mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        drop(self.child.stdin.take());
        (self.child.wait().expect("it ends"), started.elapsed())
    }

    /// Ends it as the system does when memory runs out: at once, with nothing put away.
    pub(crate) fn kill(mut self) {
        let perch = nix::unistd::Pid::from_raw(self.pid());
        nix::sys::signal::kill(perch, nix::sys::signal::Signal::SIGKILL).expect("killed");
        drop(self.child.stdin.take());
        self.child.wait().expect("it ends");
    }

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        let shell = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
        let perch = children.expect("the shell's children").trim().parse();
        perch.expect("one child")
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.get_with(path, "")
    }

    /// GET with further header lines, each ended by CR LF.
    pub(crate) fn get_with(&self, path: &str, headers: &str) -> Response {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        ))
    }

    /// Sends these bytes and reads until the connection closes.
    pub(crate) fn raw(&self, request: &str) -> Response {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("read");
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head of text");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .expect("a status");
        Response {
            status,
            head,
            body: bytes.split_off(end + 4),
        }
    }

    /// Waits until the segment that gets the next part is complete in a rendition; returns its number.
    pub(crate) fn wait_segment(&self, rendition: &str) -> u64 {
        let playlist = format!("/live/test/{rendition}/index.m3u8");
        let (msn, _) = hinted(self.get(&playlist).text());
        let next = self.get(&format!("{playlist}?_HLS_msn={}&_HLS_part=0", msn + 1));
        assert_eq!(next.status, 200, "{}", next.text());
        msn
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // A test that stopped it has waited already.
        let _ = self.child.wait();
    }
}

/// Runs `perch` with these arguments to its end; returns success and what it said on standard error.
pub(crate) fn perch(arguments: &[&str]) -> (bool, String) {
    // Something that should have been refused and runs instead must not hang the tests.
    let output = Command::new("timeout")
        .args(["30", env!("CARGO_BIN_EXE_perch")])
        .args(arguments)
        .output()
        .expect("it runs");
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// A data directory within a temporary folder that goes with the test.
pub(crate) fn data_dir() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    (folder, data)
}

/// A response as it came.
pub(crate) struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The body is a problem (RFC 9457) whose status is the response's; returns its detail.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.head
        );
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!(body["status"], self.status);
        body["detail"].as_str().expect("a detail").to_owned()
    }
}

/// The segment and part that a live playlist hints at: the next one to come.
pub(crate) fn hinted(playlist: &str) -> (u64, u32) {
    let hint = playlist
        .lines()
        .find(|line| line.contains("PRELOAD-HINT"))
        .expect("a hint");
    let name = hint.split('"').nth(1).expect("an address");
    let mut numbers = name.split('.');
    let msn: u64 = numbers.next().and_then(|n| n.parse().ok()).expect("an msn");
    let part: u32 = numbers.next().and_then(|n| n.parse().ok()).expect("a part");
    (msn, part)
}
