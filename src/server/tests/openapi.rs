//! The OpenAPI document against the handlers: it names every parameter that they take, and no other.

use super::http::{Answer, ask, exchange, header, json_of};
use super::*;
use crate::server::http::DOCUMENT;
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 4] = ["GET", "PUT", "POST", "DELETE"];
const SENT_AS_JSON: (&str, &str) = ("Content-Type", "application/json");

/// A path of the document, with something in the places of its parameters.
struct Path {
    document: Value,
    template: String,
}

impl Path {
    fn every() -> Vec<Path> {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let paths = document["paths"].as_object().expect("paths").keys().cloned();
        let path = |template| Path { document: document.clone(), template };
        paths.map(path).collect()
    }

    fn item(&self) -> &Value {
        &self.document["paths"][&self.template]
    }

    fn methods(&self) -> Vec<&'static str> {
        let item = self.item();
        METHODS.into_iter().filter(|method| item.get(method.to_lowercase()).is_some()).collect()
    }

    fn operation(&self, method: &str) -> &Value {
        &self.item()[method.to_lowercase()]
    }

    fn filled(&self) -> String {
        let parts =
            self.template.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Name and example of each parameter in the query.
    fn query(&self, method: &str) -> Vec<(String, Option<String>)> {
        let listed = |of: &Value| of["parameters"].as_array().cloned().unwrap_or_default();
        let all = [listed(self.item()), listed(self.operation(method))].concat();
        let resolved = all.into_iter().map(|parameter| match parameter["$ref"].as_str() {
            Some(to) => self.document.pointer(&to[1..]).expect("a parameter").clone(),
            None => parameter,
        });
        let of_query = resolved.filter(|parameter| parameter["in"] == "query");
        let shown = |example: &Value| match example {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let named =
            |p: Value| (p["name"].as_str().expect("a name").to_owned(), shown(&p["example"]));
        of_query.map(named).collect()
    }
}

/// What a refusal says that would have been known.
fn known(answer: &Answer) -> Option<BTreeSet<String>> {
    if answer.0 != 400 {
        return None;
    }
    let object = json_of(answer);
    let (_, names) = object["error"]["message"].as_str()?.split_once("is not known here: ")?;
    Some(names.split(", ").filter(|name| *name != "none").map(str::to_owned).collect())
}

#[test]
fn the_document_is_served_as_it_is() {
    let node = Node::start();
    let answer = ask(node.http(), "GET", "/v1/openapi.json", &[], b"");
    assert_eq!((answer.0, std::str::from_utf8(&answer.2)), (200, Ok(DOCUMENT)));
    assert_eq!(json_of(&answer)["openapi"], "3.1.1");
    assert_eq!(ask(node.http(), "GET", "/v1/openapi.json?x=1", &[], b"").0, 400);
}

#[test]
fn the_document_names_every_parameter_that_is_taken_and_no_other() {
    let node = Node::start();
    let mut asked = 0;
    for path in Path::every() {
        // The dashboard, health and what shippers send look at no query.
        let looks = path.template.starts_with("/v1/")
            && path.methods().iter().all(|m| path.operation(m)["tags"][0] != "dashboard");
        for method in path.methods() {
            let named: BTreeSet<String> =
                path.query(method).into_iter().map(|(name, _)| name).collect();
            if !looks {
                assert!(named.is_empty(), "{method} {}", path.template);
                continue;
            }
            let mut taken = BTreeSet::new();
            // A scan has parameters of its own.
            for query in ["unheard-of=1", "scan=true&sort=x"] {
                let target = format!("{}?{query}", path.filled());
                let answer = ask(node.http(), method, &target, &[SENT_AS_JSON], b"{}");
                taken.extend(
                    known(&answer).unwrap_or_else(|| panic!("{method} {target}: {answer:?}")),
                );
            }
            assert_eq!(named, taken, "{method} {}", path.template);
            asked += 1;
        }
    }
    assert!(asked > 15, "{asked}");
}

#[test]
fn every_example_of_a_parameter_of_items_is_taken() {
    let node = Node::start();
    let mut asked = 0;
    for path in Path::every() {
        for method in path.methods().into_iter().filter(|m| path.operation(m)["tags"][0] == "items")
        {
            for (name, example) in path.query(method) {
                let Some(example) = example else { continue };
                let body = br#"{"operations":[]}"#;
                let status = |more: &str| {
                    let target = format!("{}?{more}{name}={example}", path.filled());
                    ask(node.http(), method, &target, &[SENT_AS_JSON], body)
                };
                let answers = [status(""), status("scan=true&")];
                let is_taken = answers.iter().any(|answer| answer.0 < 300);
                assert!(is_taken, "{method} {} {name}={example}: {answers:?}", path.template);
                asked += 1;
            }
        }
    }
    assert!(asked > 30, "{asked}");
}

#[test]
fn a_method_that_a_path_does_not_take_is_answered_with_those_that_it_does() {
    let node = Node::start();
    for path in Path::every() {
        let methods = path.methods();
        let mut wanted: BTreeSet<&str> = methods.iter().copied().collect();
        if methods.contains(&"GET") {
            wanted.insert("HEAD");
        }
        for method in ["PATCH", "TRACE"]
            .into_iter()
            .chain(METHODS.into_iter().filter(|m| !methods.contains(m)))
        {
            let answer = ask(node.http(), method, &path.filled(), &[], b"");
            let name = format!("{method} {}", path.template);
            assert_eq!(
                (answer.0, &json_of(&answer)["error"]["code"]),
                (405, &"invalid".into()),
                "{name}"
            );
            let allow = header(&answer, "allow").unwrap_or_default();
            assert_eq!(allow.split(',').map(str::trim).collect::<BTreeSet<_>>(), wanted, "{name}");
        }
    }
}

#[test]
fn what_is_no_text_in_a_path_is_answered_in_json() {
    let node = Node::start();
    let host = format!("localhost:{}", node.http().port());
    let send = |method: &str, path: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        exchange(node.http(), head.as_bytes())
    };
    for (method, path, status) in [
        ("GET", "/page/%ff", 404),
        ("GET", "/page/%zz", 404),
        ("POST", "/v1/chaos/%ff", 403),
        ("GET", "/v1/kv/%ff/k", 400),
        ("GET", "/v1/kv/b/k?%ff=1", 400),
        ("GET", "/v1/logs?source=%ff", 400),
    ] {
        let answer = send(method, path);
        assert_eq!(answer.0, status, "{path}");
        assert!(json_of(&answer)["error"]["code"].is_string(), "{path}");
    }
}

#[test]
fn the_head_of_a_scan_is_that_of_its_page() {
    let node = Node::start();
    let path = "/v1/kv/b/k?scan=true&limit=7";
    let (page, head) =
        (ask(node.http(), "GET", path, &[], b""), ask(node.http(), "HEAD", path, &[], b""));
    assert_eq!((head.0, head.2.len()), (200, 0));
    for name in ["content-type", "content-length"] {
        assert_eq!(header(&head, name), header(&page, name), "{name}");
    }
}
