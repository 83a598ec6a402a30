//! What is told of a range, whatever happened to it.

use super::News;
use super::marker::{Marker, RANGE_LIMIT};
use super::target::range_news;
use crate::Result;
use crate::message::client::PageItem;
use serde_json::Value;

fn item(sort: &str, context: &str) -> PageItem {
    PageItem { sort: sort.to_owned().into(), values: Vec::new(), context: context.into() }
}

fn names(news: &News) -> Vec<String> {
    let items = news.shown["items"].as_array().expect("items");
    items.iter().map(|item| item["sort"].as_str().expect("a name").to_owned()).collect()
}

fn told(items: &[PageItem], seen: &str) -> Result<Option<News>> {
    range_news(items, seen)
}

#[test]
fn what_is_new_or_changed_or_gone_is_told_once() {
    let (a, b) = (item("a", "1"), item("b", "1"));
    let first = told(&[a.clone(), b.clone()], "").expect("valid").expect("nothing was seen");
    assert_eq!(names(&first).len(), 2);
    assert_eq!(first.shown.get("present"), None);
    assert_eq!(told(&[a.clone(), b.clone()], &first.seen), Ok(None));
    let second = told(&[a.clone(), item("b", "2")], &first.seen).expect("valid").expect("b");
    assert_eq!(names(&second), ["Yg=="]);
    let third = told(std::slice::from_ref(&a), &second.seen).expect("valid").expect("b is gone");
    assert_eq!((names(&third).len(), &third.shown["present"]), (0, &serde_json::json!(["YQ=="])));
    assert_eq!(told(&[a], &third.seen), Ok(None));
    // And all at once, by who has slept.
    let late = told(&[item("a", "3"), item("c", "1")], &first.seen).expect("valid").expect("all");
    assert_eq!(names(&late).len(), 2);
    assert!(late.shown["present"].is_array());
}

#[test]
fn an_empty_range_is_told_to_who_has_seen_nothing_and_then_no_more() {
    let empty = told(&[], "").expect("valid").expect("nothing was seen");
    assert_eq!(empty.shown["items"], Value::Array(Vec::new()));
    assert!(!empty.seen.is_empty());
    assert_eq!(told(&[], &empty.seen), Ok(None));
    assert!(told(&[item("a", "1")], &empty.seen).expect("valid").is_some());
}

#[test]
fn a_marker_is_bounded_and_a_foreign_one_is_refused() {
    let items: Vec<PageItem> = (0..RANGE_LIMIT).map(|n| item(&n.to_string(), "1")).collect();
    let marker = Marker::of(&items);
    assert_eq!(Marker::decode(&marker.encode()), Ok(Some(marker.clone())));
    assert!(marker.encode().len() < 12_000, "it fits a request's head");
    let many = [&items[..], &[item("more", "1")]].concat();
    for wrong in ["A", "AgAA", "AQAA", "!", &Marker::of(&many).encode()] {
        assert_eq!(Marker::decode(wrong).expect_err("foreign").code(), "invalid", "{wrong}");
    }
}
