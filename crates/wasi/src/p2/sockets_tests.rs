//! Tests: sockets of WASI 0.2 as a guest uses them, and who may use them.

use crate::common::context::{WasiCtx, WasiCtxBuilder};
use crate::common::network::error::NetError;
use crate::p2::bindings::wasi::io::poll::HostPollable as _;
use crate::p2::bindings::wasi::io::streams::{HostInputStream as _, HostOutputStream as _};
use crate::p2::bindings::wasi::sockets::instance_network::Host as _;
use crate::p2::bindings::wasi::sockets::ip_name_lookup::{
    Host as _, HostResolveAddressStream as NameHost,
};
use crate::p2::bindings::wasi::sockets::network::{
    IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
};
use crate::p2::bindings::wasi::sockets::tcp::HostTcpSocket as TcpHost;
use crate::p2::bindings::wasi::sockets::tcp_create_socket::Host as _;
use crate::p2::bindings::wasi::sockets::udp::{
    HostIncomingDatagramStream as InHost, HostUdpSocket as UdpHost,
};
use crate::p2::bindings::wasi::sockets::udp_create_socket::Host as _;
use crate::p2::io::Failure as StreamFailure;
use crate::p2::sockets::{Failure, Network};
use crate::p2::tcp::Tcp;
use std::sync::{Arc, Mutex};
use trampette_runtime::Resource;

const V4: IpAddressFamily = IpAddressFamily::Ipv4;

/// Another handle of the same, for a call that takes it.
fn again<R: 'static>(resource: &Resource<R>) -> Resource<R> {
    Resource::new(resource.rep())
}

fn code<R>(result: Result<R, Failure>) -> Option<NetError> {
    match result {
        Ok(_) => None,
        Err(Failure::Code(code)) => Some(code),
        Err(Failure::Trap(error)) => panic!("{error:?}"),
    }
}

fn good<R>(result: Result<R, Failure>) -> R {
    match result {
        Ok(value) => value,
        Err(Failure::Code(code)) => panic!("{code:?}"),
        Err(Failure::Trap(error)) => panic!("{error:?}"),
    }
}

fn done<R>(result: Result<R, StreamFailure>) -> Option<R> {
    match result {
        Ok(value) => Some(value),
        Err(StreamFailure::Closed) => None,
        Err(StreamFailure::Failed(error)) => panic!("{error}"),
        Err(StreamFailure::Trap(error)) => panic!("{error:?}"),
    }
}

fn localhost(port: u16) -> IpSocketAddress {
    let address = (127, 0, 0, 1);
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })
}

fn port(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}

fn with_network() -> (WasiCtx, Resource<Network>) {
    let mut wasi = WasiCtxBuilder::new().inherit_network().build();
    let network = wasi.instance_network().unwrap();
    (wasi, network)
}

/// A socket that listens, and its port.
fn listener(wasi: &mut WasiCtx, network: &Resource<Network>) -> (Resource<Tcp>, u16) {
    let server = good(wasi.create_tcp_socket(V4));
    good(TcpHost::start_bind(
        wasi,
        again(&server),
        again(network),
        localhost(0),
    ));
    assert_eq!(
        code(wasi.start_listen(again(&server))),
        Some(NetError::ConcurrencyConflict)
    );
    good(TcpHost::finish_bind(wasi, again(&server)));
    assert_eq!(
        code(TcpHost::finish_bind(wasi, again(&server))),
        Some(NetError::NotInProgress)
    );
    good(wasi.start_listen(again(&server)));
    good(wasi.finish_listen(again(&server)));
    let address = good(TcpHost::local_address(wasi, again(&server)));
    (server, port(address))
}

#[test]
fn a_connection_carries_bytes_both_ways_and_ends() {
    let (mut wasi, network) = with_network();
    let (server, port) = listener(&mut wasi, &network);
    assert_eq!(
        code(wasi.accept(again(&server))),
        Some(NetError::WouldBlock)
    );
    let client = good(wasi.create_tcp_socket(V4));
    assert_eq!(
        code(wasi.finish_connect(again(&client))),
        Some(NetError::NotInProgress)
    );
    good(wasi.start_connect(again(&client), again(&network), localhost(port)));
    let connected = TcpHost::subscribe(&mut wasi, again(&client)).unwrap();
    wasi.block(again(&connected)).now().unwrap().unwrap();
    wasi.give_up(connected).unwrap();
    let (client_in, client_out) = good(wasi.finish_connect(again(&client)));

    let waits = TcpHost::subscribe(&mut wasi, again(&server)).unwrap();
    wasi.block(again(&waits)).now().unwrap().unwrap();
    let (_, server_in, server_out) = good(wasi.accept(again(&server)));

    // More than the system's buffers take: the rest is kept, and nothing more is permitted.
    let part = vec![7; 64 << 10];
    let mut written = 0;
    loop {
        let permit = done(wasi.check_write(again(&client_out))).unwrap();
        if permit == 0 {
            break;
        }
        done(wasi.write(again(&client_out), &part)).unwrap();
        written += part.len();
    }
    let mut read = 0;
    while read < written {
        // Not blocking: both sides are this thread.
        let bytes = done(wasi.read(again(&server_in), 1 << 20)).unwrap();
        std::thread::yield_now();
        assert!(bytes.iter().all(|byte| *byte == 7));
        read += bytes.len();
        done(wasi.flush(again(&client_out))).unwrap();
    }
    assert_eq!(read, written);
    assert_eq!(done(wasi.read(again(&server_in), 1)), Some(vec![]));

    done(
        wasi.blocking_write_and_flush(again(&server_out), b"back")
            .now()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        done(wasi.blocking_read(again(&client_in), 100).now().unwrap()).unwrap(),
        b"back"
    );
    // What was written is sent although its stream is given up.
    done(wasi.write(again(&client_out), b"last")).unwrap();
    wasi.give_up(client_out).unwrap();
    wasi.give_up(client_in).unwrap();
    wasi.give_up(client).unwrap();
    assert_eq!(
        done(wasi.blocking_read(again(&server_in), 100).now().unwrap()).unwrap(),
        b"last"
    );
    assert_eq!(
        done(wasi.blocking_read(again(&server_in), 100).now().unwrap()),
        None
    );
}

#[test]
fn datagrams_find_their_way() {
    let (mut wasi, network) = with_network();
    let [one, two] = [(); 2].map(|()| {
        let socket = good(wasi.create_udp_socket(V4));
        assert!(code(wasi.stream(again(&socket), None)).is_some());
        good(UdpHost::start_bind(
            &mut wasi,
            again(&socket),
            again(&network),
            localhost(0),
        ));
        good(UdpHost::finish_bind(&mut wasi, again(&socket)));
        socket
    });
    let to = good(UdpHost::local_address(&mut wasi, again(&two)));
    let (_, out) = good(wasi.stream(one, Some(to)));
    let (incoming, _) = good(wasi.stream(two, None));
    let udp = wasi.table.get(&out).unwrap().udp.clone();
    udp.send(b"one", None, &wasi.network).unwrap();
    udp.send(b"", None, &wasi.network).unwrap();
    let waits = InHost::subscribe(&mut wasi, again(&incoming)).unwrap();
    wasi.block(waits).now().unwrap().unwrap();
    let found = good(wasi.receive(again(&incoming), 10));
    let found: Vec<&[u8]> = found.iter().map(|datagram| &datagram.data[..]).collect();
    assert_eq!(found, [&b"one"[..], b""]);
    assert!(good(wasi.receive(incoming, 10)).is_empty());
}

#[test]
fn addresses_are_their_own_names() {
    let (mut wasi, network) = with_network();
    let stream = good(wasi.resolve_addresses(again(&network), "192.0.2.7"));
    let found = good(wasi.resolve_next_address(again(&stream)));
    assert_eq!(found, Some(IpAddress::Ipv4((192, 0, 2, 7))));
    assert_eq!(good(wasi.resolve_next_address(stream)), None);
    assert_eq!(
        code(wasi.resolve_addresses(again(&network), "no name")),
        Some(NetError::InvalidArgument)
    );
    // Whatever the system says of it, it says it after a while.
    let stream = good(wasi.resolve_addresses(network, "localhost"));
    let answered = NameHost::subscribe(&mut wasi, again(&stream)).unwrap();
    wasi.block(answered).now().unwrap().unwrap();
    assert_ne!(
        code(wasi.resolve_next_address(stream)),
        Some(NetError::WouldBlock)
    );
}

#[test]
fn without_a_rule_there_is_no_network() {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let tell = refused.clone();
    let builder = WasiCtxBuilder::new().allow_network("192.0.2.0/24:80".parse().unwrap());
    let tell = move |refusal: &crate::NetworkRefusal| {
        tell.lock().unwrap().push(refusal.rule().to_string());
    };
    let mut wasi = builder.on_network_refusal(tell).build();
    let network = wasi.instance_network().unwrap();
    let socket = good(wasi.create_tcp_socket(V4));
    let denied = Some(NetError::AccessDenied);
    let bound = TcpHost::start_bind(&mut wasi, again(&socket), again(&network), localhost(0));
    assert_eq!(code(bound), denied);
    let connected = wasi.start_connect(again(&socket), again(&network), localhost(1));
    assert_eq!(code(connected), denied);
    assert_eq!(code(wasi.resolve_addresses(network, "a.example")), denied);
    let udp = good(wasi.create_udp_socket(V4));
    let udp = wasi.table.get(&udp).unwrap().udp.clone();
    let sent = udp.send(b"x", Some(localhost(9).into()), &wasi.network);
    assert_eq!(sent, Err(NetError::AccessDenied));
    let refused = refused.lock().unwrap();
    assert_eq!(
        refused[..],
        ["127.0.0.1", "127.0.0.1:1", "a.example", "127.0.0.1:9"]
    );
}

#[test]
fn sockets_count_as_open_files() {
    let builder = WasiCtxBuilder::new().inherit_network().max_open_files(3);
    let mut wasi = builder.build();
    let network = wasi.instance_network().unwrap();
    let (server, port) = listener(&mut wasi, &network);
    let client = good(wasi.create_tcp_socket(V4));
    let udp = good(wasi.create_udp_socket(V4));
    let full = Some(NetError::NewSocketLimit);
    assert_eq!(code(wasi.create_udp_socket(V4)), full);
    good(wasi.start_connect(again(&client), again(&network), localhost(port)));
    let waits = TcpHost::subscribe(&mut wasi, again(&server)).unwrap();
    wasi.block(waits).now().unwrap().unwrap();
    // There is nobody to give the connection to: it is closed.
    let accepted = wasi.accept(again(&server));
    assert_eq!(code(accepted), Some(NetError::WouldBlock));
    let (input, _) = good(wasi.finish_connect(client));
    assert_eq!(done(wasi.blocking_read(input, 1).now().unwrap()), None);
    wasi.give_up(udp).unwrap();
    good(wasi.create_tcp_socket(V4));
}

#[test]
fn sockets_are_counted() {
    use crate::p3::bindings::wasi::sockets::types as three;
    let builder = WasiCtxBuilder::new().inherit_network();
    let mut wasi = builder.max_sockets(2).max_open_files(100).build();
    let first = good(wasi.create_tcp_socket(V4));
    good(wasi.create_udp_socket(V4));
    let limit = Some(NetError::NewSocketLimit);
    assert_eq!(code(wasi.create_tcp_socket(V4)), limit);
    assert_eq!(code(wasi.create_udp_socket(V4)), limit);
    let by_0_3 = |wasi: &mut WasiCtx| {
        code(<WasiCtx as three::HostTcpSocket>::create(
            wasi,
            three::IpAddressFamily::Ipv4,
        ))
    };
    assert_eq!(by_0_3(&mut wasi), limit);
    TcpHost::drop(&mut wasi, first).unwrap();
    assert_eq!(by_0_3(&mut wasi), None);
    assert_eq!(by_0_3(&mut wasi), limit);
    // They count as files, too.
    let mut wasi = WasiCtxBuilder::new().max_open_files(1).build();
    good(wasi.create_tcp_socket(V4));
    assert_eq!(code(wasi.create_udp_socket(V4)), limit);
}
