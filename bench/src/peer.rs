//! The peer: its configurations, and calls as its embedders make them fastest.

use crate::measure::{Contender, Sample};
use crate::session::Session;
use anyhow::Result;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;
use wasmtime::component::{Component, ComponentNamedList, Lift, Linker, Lower, TypedFunc};
use wasmtime::{
    Config, Enabled, Engine, Inlining, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};

/// Live instances that the pooling allocator has room for.
pub const POOLED_INSTANCES: u32 = 1100;

/// One configuration of the peer.
pub struct Peer {
    /// Which.
    pub contender: Contender,
    /// Its engine.
    pub engine: Engine,
    components: RefCell<HashMap<String, Component>>,
}

impl Peer {
    /// The configuration of a contender that is the peer.
    pub fn new(contender: Contender) -> Result<Peer> {
        Ok(Peer {
            contender,
            engine: Engine::new(&config(contender))?,
            components: RefCell::default(),
        })
    }

    /// The same with all of its support of concurrency.
    pub fn concurrent(contender: Contender) -> Result<Peer> {
        let mut config = config(contender);
        config
            .concurrency_support(true)
            .wasm_component_model_async(true)
            .wasm_component_model_more_async_builtins(true)
            .wasm_component_model_async_stackful(true);
        Ok(Peer {
            contender,
            engine: Engine::new(&config)?,
            components: RefCell::default(),
        })
    }

    /// A fixture compiled by the peer.
    pub fn component(&self, session: &Session, name: &str) -> Result<Component> {
        if let Some(component) = self.components.borrow().get(name) {
            return Ok(component.clone());
        }
        let component = Component::new(&self.engine, session.wasm(name)?)?;
        self.components
            .borrow_mut()
            .insert(name.to_string(), component.clone());
        Ok(component)
    }

    /// A sample of calls of an export of a fixture.
    pub fn calls<P, R>(
        &self,
        session: &Session,
        fixture: &str,
        export: &str,
        mut call: impl FnMut(&mut Store<()>, &TypedFunc<P, R>) -> wasmtime::Result<()> + 'static,
    ) -> Result<Sample>
    where
        P: ComponentNamedList + Lower + 'static,
        R: ComponentNamedList + Lift + 'static,
    {
        let component = self.component(session, fixture)?;
        let linker = Linker::new(&self.engine);
        let mut store = Store::new(&self.engine, ());
        let instance = linker.instantiate(&mut store, &component)?;
        let func = instance.get_typed_func::<P, R>(&mut store, export)?;
        Ok(Box::new(move |iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                call(&mut store, &func)?;
            }
            Ok(start.elapsed())
        }))
    }

    /// A sample of a loop in a guest: the export takes a number of iterations and two more numbers.
    pub fn guest_loop(
        &self,
        session: &Session,
        linker: &Linker<()>,
        fixture: &str,
        export: &str,
        (len, ptr): (u32, u32),
    ) -> Result<Sample> {
        let component = self.component(session, fixture)?;
        let mut store = Store::new(&self.engine, ());
        let instance = linker.instantiate(&mut store, &component)?;
        let func = instance.get_typed_func::<(u32, u32, u32), (u32,)>(&mut store, export)?;
        Ok(Box::new(move |iterations| {
            let iterations = u32::try_from(iterations)?;
            let start = Instant::now();
            std::hint::black_box(func.call(&mut store, (iterations, len, ptr))?);
            Ok(start.elapsed())
        }))
    }
}

/// What each contender's engine is made with.
fn config(contender: Contender) -> Config {
    let mut config = Config::new();
    if contender == Contender::PeerDefault {
        return config;
    }
    config.concurrency_support(false);
    config.wasm_component_model_async(false);
    config.memory_init_cow(true);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(POOLED_INSTANCES)
        .total_core_instances(4 * POOLED_INSTANCES)
        .total_memories(4 * POOLED_INSTANCES)
        .total_tables(4 * POOLED_INSTANCES)
        .table_elements(100_000)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .max_unused_warm_slots(POOLED_INSTANCES)
        .linear_memory_keep_resident(512 << 10)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    if contender == Contender::PeerInlined {
        config.compiler_inlining(Inlining::Yes);
    }
    config
}
