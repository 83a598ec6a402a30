//! As much of Markdown as these documents use: fenced blocks, what stands before them unseen, headings and links.

use regex::Regex;

/// A fenced block.
pub struct Block {
    /// Line of the fence, from 1.
    pub line: usize,
    /// What follows the opening fence: `sh`, `toml` …
    pub language: String,
    pub text: String,
    /// Why it is not run, by the comment `<!-- not run: why -->` on the line before the fence.
    pub not_run: Option<String>,
}

/// Every fenced block of a document, in order.
pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut before = "";
    for (at, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(language), None) => {
                let why =
                    before.strip_prefix("<!-- not run: ").and_then(|b| b.strip_suffix(" -->"));
                open = Some(Block {
                    line: at + 1,
                    language: language.trim().into(),
                    text: String::new(),
                    not_run: why.map(str::to_owned),
                });
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
        before = line;
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// Targets of links and pictures.
pub fn links(document: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    // Indented lists of links are prose here, so only fences are left out.
    let mut inside = false;
    let mut text = String::new();
    for line in document.lines() {
        let fence = line.starts_with("```");
        if !inside && !fence {
            text.push_str(line);
            text.push('\n');
        }
        inside ^= fence;
    }
    link.captures_iter(&text).map(|found| found[1].to_owned()).collect()
}

/// The anchors of a document's headings, as GitHub and mdBook make them.
pub fn anchors(document: &str) -> Vec<String> {
    let mut inside = false;
    let mut anchors = Vec::new();
    for line in document.lines() {
        inside ^= line.starts_with("```");
        let Some(heading) = line.strip_prefix('#').filter(|_| !inside) else { continue };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        anchors.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    anchors
}

#[test]
fn blocks_have_a_language_a_text_and_perhaps_a_reason() {
    let document = "a\n```sh\nls\n```\n<!-- not run: why -->\n```toml\nx = 1\n\n```\n";
    let blocks = blocks(document);
    let told: Vec<_> =
        blocks.iter().map(|b| (&*b.language, &*b.text, b.not_run.as_deref(), b.line)).collect();
    assert_eq!(told, [("sh", "ls\n", None, 2), ("toml", "x = 1\n\n", Some("why"), 6)]);
    assert_eq!(links("[a](b.md#c) ![d](e.png)\n```\n[x](y)\n```"), ["b.md#c", "e.png"]);
    assert_eq!(
        anchors("# A majority is gone, for `ever`\n## B"),
        ["a-majority-is-gone-for-ever", "b"]
    );
}
