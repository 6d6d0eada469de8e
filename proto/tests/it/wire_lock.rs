//! `wire.lock` lists everything a peer of another release may rely on; lines are only ever added.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
};
use toolplane_proto::FILE_DESCRIPTOR_SET;

const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/wire.lock");
const UPDATE: &str = "UPDATE_WIRE_LOCK=1 cargo test -p toolplane-proto";

type Lines = BTreeSet<String>;

#[test]
fn the_wire_only_grows() {
    let locked: Lines = std::fs::read_to_string(LOCK).expect("the lock").lines().map(str::to_owned).collect();
    let present = lines();
    let lost: Vec<_> = locked.difference(&present).collect();
    assert!(lost.is_empty(), "peers of other releases rely on what was changed or removed: {lost:#?}");
    let added: Vec<_> = present.difference(&locked).collect();
    if std::env::var_os("UPDATE_WIRE_LOCK").is_some() {
        let text: String = present.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        std::fs::write(LOCK, text).expect("the lock is written");
        return;
    }
    assert!(added.is_empty(), "proto/wire.lock lacks {added:#?}; add it with `{UPDATE}`");
}

#[test]
fn a_changed_number_a_changed_type_and_a_new_cardinality_are_seen() {
    let field = FieldDescriptorProto {
        name: Some("nonce".to_owned()),
        number: Some(1),
        r#type: Some(Type::String.into()),
        label: Some(Label::Optional.into()),
        ..FieldDescriptorProto::default()
    };
    let seen = |field: FieldDescriptorProto| {
        let message = DescriptorProto {
            name: Some("Ack".to_owned()),
            field: vec![field],
            ..DescriptorProto::default()
        };
        let mut lines = Lines::new();
        message_lines("p", &message, &mut lines);
        lines.into_iter().next().expect("a line")
    };
    assert_eq!(seen(field.clone()), "p.Ack.nonce = 1 string");
    assert_eq!(seen(FieldDescriptorProto { number: Some(2), ..field.clone() }), "p.Ack.nonce = 2 string");
    let bytes = Some(Type::Bytes.into());
    assert_eq!(seen(FieldDescriptorProto { r#type: bytes, ..field.clone() }), "p.Ack.nonce = 1 bytes");
    let label = Some(Label::Repeated.into());
    assert_eq!(seen(FieldDescriptorProto { label, ..field }), "p.Ack.nonce = 1 repeated string");
}

/// Everything that is compiled into this crate and ours, one line each.
fn lines() -> Lines {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors").file;
    let mut lines = Lines::new();
    for file in files.iter().filter(|file| file.package().starts_with("toolplane.")) {
        let FileDescriptorProto { message_type, enum_type, service, .. } = file;
        for message in message_type {
            message_lines(file.package(), message, &mut lines);
        }
        for values in enum_type {
            enum_lines(file.package(), values, &mut lines);
        }
        for methods in service {
            service_lines(file.package(), methods, &mut lines);
        }
    }
    lines
}

fn message_lines(scope: &str, message: &DescriptorProto, lines: &mut Lines) {
    let name = format!("{scope}.{}", message.name());
    for field in &message.field {
        lines.insert(format!("{name}.{} = {} {}", field.name(), field.number(), kind(message, field)));
    }
    for nested in &message.nested_type {
        message_lines(&name, nested, lines);
    }
    for values in &message.enum_type {
        enum_lines(&name, values, lines);
    }
}

fn enum_lines(scope: &str, values: &EnumDescriptorProto, lines: &mut Lines) {
    for value in &values.value {
        lines.insert(format!("{scope}.{}.{} = {}", values.name(), value.name(), value.number()));
    }
}

fn service_lines(scope: &str, service: &ServiceDescriptorProto, lines: &mut Lines) {
    let stream = |streams: bool| if streams { "stream " } else { "" };
    for method in &service.method {
        lines.insert(format!(
            "{scope}.{}/{} = {}{} -> {}{}",
            service.name(),
            method.name(),
            stream(method.client_streaming()),
            method.input_type(),
            stream(method.server_streaming()),
            method.output_type(),
        ));
    }
}

/// Cardinality, type, and the oneof where the field belongs to one: moving a field into one changes what peers read.
fn kind(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let scalar = field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase();
    let kind = field.type_name.clone().unwrap_or(scalar);
    let oneof = field.oneof_index.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
    match (field.label(), oneof) {
        (Label::Repeated, _) => format!("repeated {kind}"),
        _ if field.proto3_optional() => format!("optional {kind}"),
        (_, Some(oneof)) => format!("oneof {} {kind}", oneof.name()),
        _ => kind,
    }
}
