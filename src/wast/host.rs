//! What the components of a script can import: the host of the reference runner.

use anyhow::{Result, ensure};
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::Poll;
use trampette_runtime::{Linker, Resource};

/// The import name of the host's instance.
pub(super) const HOST: &str = "host";
/// The core module that it exports, by the name that compiling binds it under.
pub(super) const SIMPLE_MODULE: &str = "host#simple-module";

/// `simple-module`'s text.
const SIMPLE_MODULE_TEXT: &str = r#"(module
    (global (export "g") i32 (i32.const 100))
    (func (export "f") (result i32) (i32.const 101)))"#;

/// The bytes of `simple-module`.
///
/// # Errors
/// Never; its text is a constant.
pub(super) fn simple_module() -> Result<Vec<u8>> {
    Ok(wat::parse_str(SIMPLE_MODULE_TEXT)?)
}

/// The host's first resource type.
struct Resource1;
/// The host's second resource type.
struct Resource2;

/// Counts of `resource1`, shared by all stores of a script.
#[derive(Default)]
struct Drops {
    count: AtomicU32,
    last: AtomicU32,
}

/// Lets one turn of the host's loop pass.
async fn turn() {
    let mut is_over = false;
    poll_fn(|cx| match std::mem::replace(&mut is_over, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// Defines the host's items.
///
/// # Errors
/// Never, with an empty linker.
pub(super) fn define(linker: &mut Linker<()>) -> Result<()> {
    let drops = Arc::new(Drops::default());
    let mut root = linker.root();
    root.func_wrap::<(), u32, _>("host-return-two", |_, ()| Ok(2))?;
    root.func_wrap_async::<(u32,), u32, _, _>("host-echo-u32", |_, (x,)| async move { Ok(x) })?;
    let mut host = linker.instance(HOST)?;
    host.func_wrap::<(), u32, _>("return-three", |_, ()| Ok(3))?;
    host.func_wrap::<(), String, _>("return-hi", |_, ()| Ok("hi".to_string()))?;
    host.instance("nested")?
        .func_wrap::<(), u32, _>("return-four", |_, ()| Ok(4))?;
    let counted = drops.clone();
    host.resource::<Resource1>("resource1", move |_, rep| {
        counted.count.fetch_add(1, Relaxed);
        counted.last.store(rep, Relaxed);
        Ok(())
    })?;
    host.resource::<Resource2>("resource2", |_, _| Ok(()))?;
    host.resource::<Resource1>("resource1-again", |_, _| {
        anyhow::bail!("a destructor was called through `resource1-again`")
    })?;
    host.func_wrap::<(u32,), Resource<Resource1>, _>("[constructor]resource1", |_, (rep,)| {
        Ok(Resource::new(rep))
    })?;
    host.func_wrap::<(Resource<Resource1>, u32), (), _>(
        "[static]resource1.assert",
        |_, (resource, rep)| {
            let found = resource.rep();
            ensure!(found == rep, "the resource is {found}, not {rep}");
            Ok(())
        },
    )?;
    let last = drops.clone();
    host.func_wrap::<(), u32, _>("[static]resource1.last-drop", move |_, ()| {
        Ok(last.last.load(Relaxed))
    })?;
    host.func_wrap::<(), u32, _>("[static]resource1.drops", move |_, ()| {
        Ok(drops.count.load(Relaxed))
    })?;
    host.func_wrap::<(Resource<Resource1>, u32), (), _>(
        "[method]resource1.simple",
        |_, (resource, rep)| {
            let found = resource.rep();
            ensure!(found == rep, "the resource is {found}, not {rep}");
            Ok(())
        },
    )?;
    type Two = (Resource<Resource1>, Resource<Resource1>);
    host.func_wrap::<Two, (), _>("[method]resource1.take-borrow", |_, _| Ok(()))?;
    host.func_wrap::<Two, (), _>("[method]resource1.take-own", |_, _| Ok(()))?;
    host.func_wrap_async::<(Resource<Resource1>,), (), _, _>(
        "[method]resource1.never-return",
        |_, _| pending(),
    )?;
    host.func_wrap_async::<(), (), _, _>("never-return", |_, ()| pending())?;
    host.func_wrap_async::<(), i32, _, _>("return-two-slowly", |_, ()| async {
        turn().await;
        Ok(2)
    })?;
    host.func_wrap_async::<(u32,), u32, _, _>("echo-slowly", |_, (x,)| async move {
        turn().await;
        Ok(x)
    })?;
    Ok(())
}
