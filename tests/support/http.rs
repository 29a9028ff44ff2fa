//! HTTP/1.1 for tests, by hand: a process that serves, requests that are sent to it byte for byte,
//! and servers that its guests ask.

#![allow(dead_code, reason = "each test uses a part of it")]

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take.
pub const TIME: Duration = Duration::from_secs(60);

/// A process that serves.
pub struct Served {
    child: Child,
    /// Where; 0 if it is no port.
    pub port: u16,
    /// What it says when it begins.
    pub first_line: String,
    errors: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Served {
    /// Starts a command, and waits until it says where it listens.
    pub fn start(mut command: Command) -> Result<Served> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut pipe = BufReader::new(child.stderr.take().context("a pipe")?);
        let mut first_line = String::new();
        pipe.read_line(&mut first_line)?;
        let port = first_line
            .split_once("://127.0.0.1:")
            .and_then(|(_, rest)| {
                let digits = rest.split_once('/')?.0;
                digits.parse().ok()
            })
            // At a Unix socket.
            .or_else(|| first_line.contains(" on unix:").then_some(0));
        let Some(port) = port else {
            pipe.read_to_string(&mut first_line)?;
            bail!("it does not serve, {}: {first_line}", child.wait()?);
        };
        let errors = Arc::new(Mutex::new(String::new()));
        let all = errors.clone();
        let reader = std::thread::spawn(move || {
            let mut line = Vec::new();
            while pipe
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                all.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Ok(Served {
            child,
            port,
            first_line,
            errors,
            reader: Some(reader),
        })
    }

    /// What it has printed since.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Waits until it has printed something.
    pub fn prints(&self, text: &str) -> Result<()> {
        let until = Instant::now() + TIME;
        while !self.errors().contains(text) {
            ensure!(Instant::now() < until, "it printed {:?}", self.errors());
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(TIME))?;
        stream.set_write_timeout(Some(TIME))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Waits for its end. How it ended, and all that it printed.
    pub fn wait(mut self) -> Result<(ExitStatus, String)> {
        let until = Instant::now() + TIME;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < until, "it does not end: {}", self.errors());
            std::thread::sleep(Duration::from_millis(2));
        };
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the thread reads");
        }
        let errors = self.errors();
        Ok((status, errors))
    }

    /// Tells it to end, as an administrator does.
    pub fn end(self) -> Result<(ExitStatus, String)> {
        self.signal(rustix::process::Signal::TERM)?;
        self.wait()
    }

    /// Sends a request on a connection of its own.
    pub fn ask(&self, request: &Request) -> Result<Answer> {
        let mut stream = self.connect()?;
        let mut back = BufReader::new(stream.try_clone()?);
        let bytes = request.bytes(self.port);
        // The answer may begin before all is sent.
        std::thread::scope(|scope| {
            scope.spawn(move || stream.write_all(&bytes));
            Answer::read(&mut back, &request.method)
        })
    }

    pub fn get(&self, path: &str) -> Result<Answer> {
        self.ask(&Request::new("GET", path))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// Sent in pieces of so many bytes, then the trailers.
    pub chunk: Option<usize>,
    pub trailers: Vec<(String, String)>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Request {
        Request {
            method: method.to_string(),
            path: path.to_string(),
            ..Request::default()
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = Some(body.into());
        self
    }

    fn bytes(&self, port: u16) -> Vec<u8> {
        let mut bytes = format!(
            "{} {} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nte: trailers\r\n",
            self.method, self.path
        )
        .into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        let Some(body) = &self.body else {
            bytes.extend(b"\r\n");
            return bytes;
        };
        let Some(chunk) = self.chunk else {
            bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(body);
            return bytes;
        };
        let names: Vec<&str> = self.trailers.iter().map(|(name, _)| &name[..]).collect();
        if !names.is_empty() {
            bytes.extend(format!("trailer: {}\r\n", names.join(", ")).bytes());
        }
        bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
        for part in body.chunks(chunk) {
            bytes.extend(format!("{:x}\r\n", part.len()).bytes());
            bytes.extend(part);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n");
        for (name, value) in &self.trailers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        bytes.extend(b"\r\n");
        bytes
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Whether its end was said.
    pub is_whole: bool,
}

impl Answer {
    /// Reads one.
    ///
    /// # Errors
    /// If there is none at all.
    pub fn read(from: &mut impl BufRead, method: &str) -> Result<Answer> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut answer = Answer {
            status: status.with_context(|| format!("no answer: {line:?}"))?,
            headers: fields(from)?,
            ..Answer::default()
        };
        if method == "HEAD" || matches!(answer.status, 204 | 304 | 100..200) {
            answer.is_whole = true;
            return Ok(answer);
        }
        if answer.header("transfer-encoding").contains("chunked") {
            while let Some(size) = chunk_size(from) {
                if size == 0 {
                    answer.trailers = fields(from)?;
                    answer.is_whole = true;
                    break;
                }
                let before = answer.body.len();
                let read = from.take(size).read_to_end(&mut answer.body);
                let mut end = [0; 2];
                if read.is_err()
                    || answer.body.len() - before < size as usize
                    || from.read_exact(&mut end).is_err()
                {
                    break;
                }
            }
            return Ok(answer);
        }
        match answer.header("content-length").parse::<u64>() {
            Ok(length) => {
                let _ = from.take(length).read_to_end(&mut answer.body);
                answer.is_whole = answer.body.len() as u64 == length;
            }
            Err(_) => answer.is_whole = from.read_to_end(&mut answer.body).is_ok(),
        }
        Ok(answer)
    }

    /// The values of a header, joined.
    pub fn header(&self, name: &str) -> String {
        joined(&self.headers, name)
    }

    pub fn trailer(&self, name: &str) -> String {
        joined(&self.trailers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn joined(fields: &[(String, String)], name: &str) -> String {
    let named = fields.iter().filter(|(other, _)| other == name);
    let values: Vec<&str> = named.map(|(_, value)| &value[..]).collect();
    values.join(", ")
}

fn chunk_size(from: &mut impl BufRead) -> Option<u64> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    u64::from_str_radix(line.trim().split(';').next()?, 16).ok()
}

/// Fields, to the empty line behind them; names in lower case.
fn fields(from: &mut impl BufRead) -> Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let line = line.trim();
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(':').context("a field has a colon")?;
        fields.push((name.to_lowercase(), value.trim().to_string()));
    }
}

/// What a server gets: like an answer, with the first line in place of the status.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

/// A server for guests, whose answers end the connection. It goes on with the process.
pub fn upstream(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || -> Result<()> {
                let mut from = BufReader::new(stream.try_clone()?);
                let asked = asked(&mut from)?;
                let mut stream = stream;
                stream.write_all(&answer(&asked))?;
                Ok(())
            });
        }
    });
    Ok(address)
}

fn asked(from: &mut impl BufRead) -> Result<Asked> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_string);
    let mut asked = Asked {
        method: words.next().context("a method")?,
        path: words.next().context("a path")?,
        headers: fields(from)?,
        body: Vec::new(),
        trailers: Vec::new(),
    };
    if joined(&asked.headers, "transfer-encoding").contains("chunked") {
        while let Some(size) = chunk_size(from).filter(|size| *size > 0) {
            from.take(size).read_to_end(&mut asked.body)?;
            from.read_exact(&mut [0; 2])?;
        }
        asked.trailers = fields(from)?;
    } else if let Ok(length) = joined(&asked.headers, "content-length").parse() {
        from.take(length).read_to_end(&mut asked.body)?;
    }
    Ok(asked)
}

/// An answer that ends the connection.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
    bytes.extend(body);
    bytes
}

/// An answer in chunks, with trailers.
pub fn chunked(status: u16, chunks: &[&str], trailers: &BTreeMap<String, String>) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n").into_bytes();
    let names: Vec<&str> = trailers.keys().map(String::as_str).collect();
    if !names.is_empty() {
        bytes.extend(format!("trailer: {}\r\n", names.join(", ")).bytes());
    }
    bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
    for chunk in chunks {
        bytes.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).bytes());
    }
    bytes.extend(b"0\r\n");
    for (name, value) in trailers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    bytes.extend(b"\r\n");
    bytes
}
