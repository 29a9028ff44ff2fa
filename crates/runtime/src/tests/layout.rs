//! Tests that Rust's native forms are the ones that `artifact::native` describes, and that typed
//! and dynamic values agree on them.

use crate::load::names::Names;
use crate::values::keep::{Keep, KeepAlive};
use crate::values::val::{NativeReader, NativeWriter};
use crate::{
    ComponentType, Lift, LiftContext, Lower, LowerContext, Resource, ResourceType, TypeContext, Val,
};
use std::any::TypeId;
use std::fmt::Debug;
use std::mem::MaybeUninit;
use trampette_artifact::ids::ResourceId;
use trampette_artifact::metadata::{self, Metadata};
use trampette_artifact::native;
use trampette_artifact::types::{Case, DefinedType, Field, Type, TypeTable};

/// The WIT type that a Rust type stands for, made by hand.
trait Wit {
    fn wit(types: &mut TypeTable) -> Type;
    fn optional(types: &mut TypeTable) -> Option<Type> {
        Some(Self::wit(types))
    }
}

macro_rules! plain {
    ($($rust:ty => $wit:ident),*) => {$(
        impl Wit for $rust {
            fn wit(_: &mut TypeTable) -> Type {
                Type::$wit
            }
        }
    )*};
}

plain!(
    bool => Bool, i8 => S8, u8 => U8, i16 => S16, u16 => U16, i32 => S32, u32 => U32, i64 => S64,
    u64 => U64, f32 => F32, f64 => F64, char => Char, String => String
);

impl Wit for () {
    fn wit(_: &mut TypeTable) -> Type {
        panic!("`()` is no type")
    }
    fn optional(_: &mut TypeTable) -> Option<Type> {
        None
    }
}

impl<T: Wit> Wit for Vec<T> {
    fn wit(types: &mut TypeTable) -> Type {
        let element = T::wit(types);
        types.intern(DefinedType::List(element)).unwrap()
    }
}

impl<T: Wit, const N: usize> Wit for [T; N] {
    fn wit(types: &mut TypeTable) -> Type {
        let element = T::wit(types);
        types
            .intern(DefinedType::FixedLengthList(element, N as u32))
            .unwrap()
    }
}

impl<T: Wit> Wit for Option<T> {
    fn wit(types: &mut TypeTable) -> Type {
        let some = T::wit(types);
        types.intern(DefinedType::Option(some)).unwrap()
    }
}

impl<T: Wit, E: Wit> Wit for Result<T, E> {
    fn wit(types: &mut TypeTable) -> Type {
        let (ok, err) = (T::optional(types), E::optional(types));
        types.intern(DefinedType::Result { ok, err }).unwrap()
    }
}

macro_rules! tuple {
    ($($ty:ident)+) => {
        impl<$($ty: Wit),+> Wit for ($($ty,)+) {
            fn wit(types: &mut TypeTable) -> Type {
                let fields = vec![$($ty::wit(types)),+];
                types.intern(DefinedType::Tuple(fields)).unwrap()
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D E F G H I J K L M N O P);

struct Host;

impl Wit for Resource<Host> {
    fn wit(types: &mut TypeTable) -> Type {
        types.intern(DefinedType::Own(ResourceId(0))).unwrap()
    }
}

/// An accidental neighbour of everything awkward.
#[derive(ComponentType, Lift, Lower, Clone, PartialEq, Debug)]
#[component(record)]
struct Link {
    kind: Kind,
    #[component(name = "hops")]
    hop_count: u64,
    r#type: String,
    access: Access,
}

#[derive(ComponentType, Lift, Lower, Clone, PartialEq, Debug)]
#[component(variant)]
enum Address {
    Ipv4((u8, u8, u8, u8)),
    Unknown,
    #[component(name = "via")]
    Through(Vec<Link>),
    Port(u16),
}

#[derive(ComponentType, Lift, Lower, Clone, Copy, PartialEq, Debug)]
#[component(enum)]
enum Kind {
    HardLink,
    SymLink,
}

#[derive(ComponentType, Lift, Lower, Clone, Copy, PartialEq, Debug)]
#[component(variant)]
enum Only {
    This,
}

crate::flags! {
    /// Nine flags need two bytes.
    struct Access {
        const A = "a";
        const B = "b";
        const C = "c";
        const D = "d";
        const E = "e";
        const F = "f";
        const G = "g";
        const H = "h";
        const READ_WRITE = "read-write";
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl Wit for Kind {
    fn wit(types: &mut TypeTable) -> Type {
        types
            .intern(DefinedType::Enum(names(&["hard-link", "sym-link"])))
            .unwrap()
    }
}

impl Wit for Access {
    fn wit(types: &mut TypeTable) -> Type {
        let all = ["a", "b", "c", "d", "e", "f", "g", "h", "read-write"];
        types.intern(DefinedType::Flags(names(&all))).unwrap()
    }
}

impl Wit for Link {
    fn wit(types: &mut TypeTable) -> Type {
        let fields = [
            ("kind", Kind::wit(types)),
            ("hops", Type::U64),
            ("type", Type::String),
            ("access", Access::wit(types)),
        ];
        let field = |(name, ty): (&str, Type)| Field {
            name: name.to_string(),
            ty,
        };
        types
            .intern(DefinedType::Record(fields.map(field).to_vec()))
            .unwrap()
    }
}

impl Wit for Address {
    fn wit(types: &mut TypeTable) -> Type {
        let cases = [
            ("ipv4", Some(<(u8, u8, u8, u8)>::wit(types))),
            ("unknown", None),
            ("via", Some(Vec::<Link>::wit(types))),
            ("port", Some(Type::U16)),
        ];
        let case = |(name, ty): (&str, Option<Type>)| Case {
            name: name.to_string(),
            ty,
        };
        types
            .intern(DefinedType::Variant(cases.map(case).to_vec()))
            .unwrap()
    }
}

tuple!(A B C D);

impl Wit for Only {
    fn wit(types: &mut TypeTable) -> Type {
        types
            .intern(DefinedType::Variant(vec![Case {
                name: "this".to_string(),
                ty: None,
            }]))
            .unwrap()
    }
}

fn metadata() -> Metadata {
    Metadata {
        resources: vec![metadata::Resource::Imported {
            path: names(&["host"]),
        }]
        .into(),
        ..Metadata::default()
    }
}

fn resources() -> [ResourceType; 1] {
    [ResourceType::Host(TypeId::of::<Host>())]
}

/// Size and alignment are those of the artifact's layout.
fn same<T: ComponentType + Wit>() {
    let mut metadata = metadata();
    let ty = T::wit(&mut metadata.types);
    let resources = resources();
    let cx = TypeContext::new(&metadata, &resources);
    T::check(ty, &cx).unwrap();
    let layout = native::size_align(&metadata.types, ty);
    let (size, align) = (size_of::<T::Native>(), align_of::<T::Native>());
    assert_eq!(size, layout.size as usize, "size of {}", cx.display(ty));
    assert_eq!(align, layout.align as usize, "of {}", cx.display(ty));
    if T::BITWISE {
        assert_eq!((size_of::<T>(), align_of::<T>()), (size, align));
    }
}

/// All containers of two types.
fn containers<A: ComponentType + Wit + 'static, B: ComponentType + Wit + 'static>() {
    same::<Vec<A>>();
    same::<[A; 3]>();
    same::<Option<A>>();
    same::<Option<Option<A>>>();
    same::<Result<A, B>>();
    same::<Result<(), B>>();
    same::<Result<A, ()>>();
    same::<(A,)>();
    same::<(A, B)>();
    same::<(A, B, A)>();
    same::<Result<(B, A), Option<B>>>();
    same::<(Option<A>, Result<B, A>, [B; 2])>();
}

macro_rules! pairs {
    (@one $a:ty; $($b:ty),*) => {
        same::<$a>();
        $(containers::<$a, $b>();)*
    };
    ($($a:ty),*; $all:tt) => { $(pairs!(@with $a; $all);)* };
    (@with $a:ty; [$($b:ty),*]) => { pairs!(@one $a; $($b),*) };
}

#[test]
fn native_forms_have_the_artifacts_layout() {
    pairs!(
        bool, i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, char, String, Vec<u16>, Kind, Access,
        Link, Address, Only, Resource<Host>, (u8, u64), Option<u16>;
        [u8, u16, char, f64, String, Access, Link, Address, Option<u64>, Result<(), ()>]
    );
    same::<Result<(), ()>>();
    same::<(
        u8,
        u16,
        u8,
        u32,
        u8,
        u64,
        u8,
        f32,
        bool,
        f64,
        i8,
        char,
        i16,
        String,
        u8,
        Kind,
    )>();
}

/// Typed lowering is what dynamic reading sees, and the other way round.
fn round_trip<T>(value: T, val: Val)
where
    T: Lift + Lower + Wit + Clone + PartialEq + Debug,
{
    let mut metadata = metadata();
    let ty = T::wit(&mut metadata.types);
    let resources = resources();
    T::check(ty, &TypeContext::new(&metadata, &resources)).unwrap();
    let types = Names::new(&metadata.types);
    let reader = NativeReader::new(&metadata, &types, &resources, None);
    let cx = LiftContext::new(None);
    let mut keep = KeepAlive::default();
    // What is read was written with the same type, and `keep` and the values live until the end.
    for owned in [true, false] {
        let mut place = MaybeUninit::<T::Native>::uninit();
        let mut lower = LowerContext::new(Keep::Arguments(&mut keep), None);
        match owned {
            true => value.clone().lower(&mut lower, &mut place).unwrap(),
            false => value.lower_ref(&mut lower, &mut place).unwrap(),
        }
        // SAFETY: as above.
        let (read, lifted) = unsafe {
            (
                reader.read(ty, place.as_ptr().cast()),
                T::lift(place.assume_init_ref(), cx),
            )
        };
        assert_eq!(read.unwrap(), val);
        assert_eq!(lifted, value);
    }
    let mut place = MaybeUninit::<T::Native>::uninit();
    let mut writer = NativeWriter::new(&metadata, &resources, Keep::Arguments(&mut keep), None);
    // SAFETY: the place has room for a value of the type, and is read after it was written.
    let lifted = unsafe {
        writer.write(ty, &val, place.as_mut_ptr().cast()).unwrap();
        T::lift(place.assume_init_ref(), cx)
    };
    assert_eq!(lifted, value);
}

fn boxed(val: Val) -> Option<Box<Val>> {
    Some(Box::new(val))
}

fn link(hops: u64) -> (Link, Val) {
    let access = Access::B | Access::READ_WRITE;
    let link = Link {
        kind: Kind::SymLink,
        hop_count: hops,
        r#type: "été".to_string(),
        access,
    };
    let fields = [
        ("kind", Val::Enum("sym-link".into())),
        ("hops", Val::U64(hops)),
        ("type", Val::from("été")),
        ("access", Val::Flags(vec!["b".into(), "read-write".into()])),
    ];
    let val = Val::Record(fields.map(|(n, v)| (n.into(), v)).to_vec());
    (link, val)
}

#[test]
fn values_round_trip() {
    round_trip(true, Val::Bool(true));
    round_trip(-5i8, Val::S8(-5));
    round_trip(u64::MAX, Val::U64(u64::MAX));
    round_trip('é', Val::Char('é'));
    round_trip(String::new(), Val::from(""));
    round_trip("text".to_string(), Val::from("text"));
    round_trip(Vec::<u32>::new(), Val::List(vec![]));
    round_trip(vec![1u8, 2], Val::List(vec![Val::U8(1), Val::U8(2)]));
    round_trip(vec![true], Val::List(vec![Val::Bool(true)]));
    round_trip(
        vec![("a".to_string(), 1u8), ("b".to_string(), 2)],
        Val::List(vec![
            Val::Tuple(vec![Val::from("a"), Val::U8(1)]),
            Val::Tuple(vec![Val::from("b"), Val::U8(2)]),
        ]),
    );
    round_trip(
        vec![vec!["x".to_string()], vec![]],
        Val::List(vec![Val::List(vec![Val::from("x")]), Val::List(vec![])]),
    );
    round_trip([1u16, 2], Val::List(vec![Val::U16(1), Val::U16(2)]));
    round_trip(Some(7u16), Val::Option(boxed(Val::U16(7))));
    round_trip(None::<u64>, Val::Option(None));
    round_trip(
        Err::<u64, String>("no".to_string()),
        Val::Result(Err(boxed(Val::from("no")))),
    );
    round_trip(Ok::<(), u8>(()), Val::Result(Ok(None)));
    round_trip(Kind::HardLink, Val::Enum("hard-link".into()));
    round_trip(Only::This, Val::Variant("this".into(), None));
    let (one, one_val) = link(1);
    let (two, two_val) = link(2);
    round_trip(one.clone(), one_val.clone());
    round_trip(
        Address::Through(vec![one, two]),
        Val::Variant("via".into(), boxed(Val::List(vec![one_val, two_val]))),
    );
    round_trip(Address::Unknown, Val::Variant("unknown".into(), None));
    round_trip(
        Some(Address::Port(80)),
        Val::Option(boxed(Val::Variant("port".into(), boxed(Val::U16(80))))),
    );
}

#[test]
fn views_borrow() {
    let mut keep = KeepAlive::default();
    let mut lower = LowerContext::new(Keep::Arguments(&mut keep), None);
    let cx = LiftContext::new(None);
    let strings = vec!["one".to_string(), "two".to_string()];
    let mut place = MaybeUninit::uninit();
    (strings.as_slice(), [1u32, 2].as_slice(), "abc", 'c')
        .lower(&mut lower, &mut place)
        .unwrap();
    type Owned = (Vec<String>, Vec<u32>, String, char);
    // SAFETY: written above as values of the same types.
    let view = unsafe { <Owned as Lift>::view(place.assume_init_ref(), cx) };
    let (list, numbers, text, letter) = view;
    assert_eq!(list.iter().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(list.get(1), Some("two"));
    assert_eq!(list.get(2), None);
    assert_eq!(list.to_vec(), strings);
    assert_eq!(list.get(0).unwrap().as_ptr(), strings[0].as_ptr());
    assert_eq!((numbers, text, letter), (&[1, 2][..], "abc", 'c'));
}

#[test]
fn dynamic_values_are_checked() {
    let mut metadata = metadata();
    let link = Link::wit(&mut metadata.types);
    let list = metadata.types.intern(DefinedType::List(link)).unwrap();
    let own = metadata
        .types
        .intern(DefinedType::Own(ResourceId(0)))
        .unwrap();
    let resources = resources();
    let mut keep = KeepAlive::default();
    let mut error = |ty, val: Val| {
        let mut writer = NativeWriter::new(&metadata, &resources, Keep::Arguments(&mut keep), None);
        let mut room = [0u64; 16];
        // SAFETY: there is room for every type of this test.
        let written = unsafe { writer.write(ty, &val, room.as_mut_ptr().cast()) };
        format!("{:#}", written.unwrap_err())
    };
    assert_eq!(error(Type::U8, Val::S8(1)), "expected `u8`, found `s8`");
    let record = Val::Record(vec![
        ("kind".into(), Val::Enum("soft".into())),
        ("hops".into(), Val::U64(0)),
        ("type".into(), Val::from("")),
        ("access".into(), Val::Flags(vec![])),
    ]);
    assert_eq!(
        error(list, Val::List(vec![record])),
        "list element 0: record field `kind`: expected a case of `enum { hard-link, sym-link }`, \
         found `soft`"
    );
    assert_eq!(
        error(link, Val::Record(vec![])),
        "expected 4 fields, found 0"
    );
    let other = crate::ResourceAny::from(Resource::<u8>::new(1));
    assert_eq!(
        error(own, Val::Resource(other)),
        "expected `own<host>`: found another resource that the host defines"
    );
}

#[test]
fn checks_name_the_place() {
    #[derive(ComponentType)]
    #[allow(dead_code)]
    struct Wrong {
        kind: Kind,
        hops: u32,
        r#type: String,
        access: Access,
    }
    let mut metadata = metadata();
    let link = Link::wit(&mut metadata.types);
    let links = metadata.types.intern(DefinedType::List(link)).unwrap();
    let resources = resources();
    let cx = TypeContext::new(&metadata, &resources);
    let error = |result: anyhow::Result<()>| format!("{:#}", result.unwrap_err());
    assert_eq!(
        error(Vec::<Wrong>::check(links, &cx)),
        "list element: record field `hops`: expected `u64`, found `u32`"
    );
    assert_eq!(
        error(<(u8, Link)>::check(links, &cx)),
        "expected `list<record { kind: enum { hard-link, sym-link }, hops: u64, type: string, \
         access: flags { a, b, c, d, e, f, g, h, read-write } }>`, found `tuple<u8, record { kind: \
         enum { hard-link, sym-link }, hops: u64, type: string, access: flags { a, b, c, d, e, f, g, \
         h, read-write } }>`"
    );
    assert_eq!(
        Address::describe().split('(').next(),
        Some("variant { ipv4")
    );
}
