//! A Rust program: the standard library's files, clocks and arguments.

use std::collections::BTreeMap;
use std::io::{BufRead, Read, Seek, SeekFrom, Write};
use std::{env, fs, io, process, thread, time};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    println!("arguments {} {}", arguments.len(), arguments.join("|"));
    println!("GREETING is {:?}", env::var("GREETING"));
    println!("lines {}", io::stdin().lock().lines().count());

    fs::create_dir_all("/data/a/b")?;
    for i in 0..5 {
        fs::write(format!("/data/a/b/file-{}", i), "x".repeat(i))?;
    }
    fs::rename("/data/a/b/file-4", "/data/a/last")?;
    fs::copy("/data/a/last", "/data/a/copy")?;
    let mut sizes = BTreeMap::new();
    for folder in ["/data/a", "/data/a/b"] {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                sizes.insert(entry.path(), entry.metadata()?.len());
            }
        }
    }
    println!("{:?}", sizes);

    let mut options = fs::OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).open("/data/a/file")?;
    file.write_all(b"0123456789")?;
    file.seek(SeekFrom::Start(3))?;
    file.write_all(b"abc")?;
    file.set_len(8)?;
    file.seek(SeekFrom::End(-6))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    println!("{}", text);
    drop(file);

    for name in ["last", "copy", "file", "b/file-0", "b/file-1", "b/file-2", "b/file-3"] {
        fs::remove_file(format!("/data/a/{}", name))?;
    }
    println!("{}", fs::remove_dir("/data").is_err());
    fs::remove_dir("/data/a/b")?;
    fs::remove_dir("/data/a")?;
    println!("{:?}", fs::metadata("/data/a").map_err(|error| error.kind()).is_ok());
    println!("{:?}", fs::File::open("/elsewhere").map_err(|error| error.kind()).is_ok());

    let start = time::Instant::now();
    thread::sleep(time::Duration::from_millis(20));
    println!("slept {}", start.elapsed() >= time::Duration::from_millis(20));
    io::stderr().write_all(b"done\n")?;
    process::exit(3)
}
