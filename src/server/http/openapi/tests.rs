//! The document against what the router and the errors are made of; `src/server/tests/openapi.rs` asks the handlers.

use super::super::{answer, page, router};
use super::DOCUMENT;
use crate::Error;
use serde_json::Value;
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::from_str(DOCUMENT).expect("JSON")
}

/// Method and path of everything in the document.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().expect("paths");
    let each = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path").keys().filter(|key| *key != "parameters");
        methods.map(|method| (method.to_uppercase(), path.clone()))
    });
    each.collect()
}

/// Everything that a `$ref` names.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(to)) = fields.get("$ref") {
                found.insert(to.clone());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_names_every_route_and_no_other() {
    let (items, dashboard) = (router::routes(), page::routes());
    let routes = items.list().iter().chain(dashboard.list());
    let routes: BTreeSet<(String, String)> =
        routes.map(|(method, path)| (method.to_string(), path.replace("{*", "{"))).collect();
    assert!(routes.len() > 25, "{routes:?}");
    assert_eq!(operations(&document()), routes);
}

#[test]
fn the_document_is_of_this_version_and_names_nothing_that_is_not_in_it() {
    let document = document();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut named = BTreeSet::new();
    references(&document, &mut named);
    assert!(named.len() > 50, "{named:?}");
    for to in &named {
        let at = to.strip_prefix('#').expect("a place in the document");
        assert!(document.pointer(at).is_some(), "{to}");
    }
    for kind in ["parameters", "headers", "schemas"] {
        for name in document["components"][kind].as_object().expect("some").keys() {
            // Of every path, so of none in particular.
            let is_common = kind == "headers" && name == "Allow";
            let place = format!("#/components/{kind}/{name}");
            assert!(is_common || named.contains(&place), "{place} is named nowhere");
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_an_answer_when_all_is_well() {
    let document = document();
    let mut names = BTreeSet::new();
    for (method, path) in operations(&document) {
        let operation = &document["paths"][&path][method.to_lowercase()];
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name.to_owned()), "{name}");
        let responses = operation["responses"].as_object().expect("answers");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
        assert!(responses.keys().all(|status| status.parse::<u16>().is_ok()), "{name}");
    }
}

/// One of each that a node sends. Where there is a new one the match does not compile: add it above, too.
fn every_error() -> Vec<Error> {
    let some = || "x".to_owned();
    let all = vec![
        Error::Invalid(some()),
        Error::NotFound(some()),
        Error::Siblings { count: 2 },
        Error::TooManySiblings { count: 100 },
        Error::TooLarge { what: some(), size: 2, limit: 1 },
        Error::Unavailable { required: 2, alive: 1 },
        Error::QuorumNotMet { required: 2, received: 1 },
        Error::ContextMismatch,
        Error::OutcomeUnknown { required: 2, received: 1 },
        Error::Timeout { required: 2, received: 1 },
        Error::Overloaded(some()),
        Error::DiskFull(some()),
        Error::ChangeInProgress(some()),
        Error::Forbidden(some()),
        Error::Unreachable(some()),
        Error::Internal(some()),
    ];
    for error in &all {
        match error {
            Error::Invalid(_)
            | Error::NotFound(_)
            | Error::Siblings { .. }
            | Error::TooManySiblings { .. }
            | Error::TooLarge { .. }
            | Error::Unavailable { .. }
            | Error::QuorumNotMet { .. }
            | Error::ContextMismatch
            | Error::OutcomeUnknown { .. }
            | Error::Timeout { .. }
            | Error::Overloaded(_)
            | Error::DiskFull(_)
            | Error::ChangeInProgress(_)
            | Error::Forbidden(_)
            | Error::Unreachable(_)
            | Error::Internal(_)
            // Of the client library alone.
            | Error::Session(_) => {}
        }
    }
    all
}

#[test]
fn every_error_stands_under_its_status_and_among_all_codes() {
    let document = document();
    let components = &document["components"];
    let codes =
        &components["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"];
    let mut codes: BTreeSet<&str> =
        codes.as_array().expect("codes").iter().filter_map(Value::as_str).collect();
    for error in every_error() {
        let name = match answer::status(&error).as_u16() {
            400 => "Invalid",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            412 => "Changed",
            413 => "TooLarge",
            500 => "Internal",
            503 => "Busy",
            504 => "Late",
            507 => "DiskFull",
            other => panic!("{other} of {error} has no answer in the document"),
        };
        let mut schema = &components["responses"][name]["content"]["application/json"]["schema"];
        if let Some(to) = schema["$ref"].as_str() {
            schema = document.pointer(&to[1..]).expect("a schema");
        }
        let here = &schema["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"];
        let here = here.as_array().expect("codes");
        assert!(here.iter().any(|code| code == error.code()), "{error} under {name}");
        codes.remove(error.code());
    }
    // The lock's own, before anybody is asked.
    assert!(codes.remove("unauthorized"));
    assert!(codes.is_empty(), "no error has {codes:?}");
}
