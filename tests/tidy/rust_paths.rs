//! What a Rust file refers to: words of its text, without comments, strings and the code of its tests, and the paths
//! that they make. Knows no types and expands no macros; that is enough to see who imports whom.

/// One word or sign, and the line that it stands on, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word {
    pub text: String,
    pub line: usize,
}

/// A path as it was written, with `use` trees taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct RustPath {
    pub segments: Vec<String>,
    pub line: usize,
    /// Brought in by `use`, so that its last segment can begin other paths.
    pub imported: bool,
}

/// The file's words, strings and comments left out. `::` is one word.
fn all_words(text: &str) -> Vec<Word> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut words, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let from = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            '"' => i = end_of_string(&chars, i),
            // A lifetime has no second quote near; a character has.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            c if is_word(c) => {
                while is_word(at(i)) {
                    i += 1;
                }
                let word: String = chars[from..i].iter().collect();
                let hashes = (i..).take_while(|&j| at(j) == '#').count();
                if word.ends_with('r') && word.len() <= 2 && at(i + hashes) == '"' {
                    i = end_of_raw_string(&chars, i + hashes, hashes);
                } else if word == "r" && hashes == 1 {
                    i += 1;
                } else {
                    words.push(Word { text: word, line });
                }
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                words.push(Word {
                    text: "::".to_owned(),
                    line,
                });
            }
            c => {
                i += 1;
                if !c.is_whitespace() {
                    words.push(Word {
                        text: c.to_string(),
                        line,
                    });
                }
            }
        }
        let end = i.min(chars.len());
        line += chars[from..end].iter().filter(|&&c| c == '\n').count();
    }
    words
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn end_of_raw_string(chars: &[char], quote: usize, hashes: usize) -> usize {
    let mut i = quote + 1;
    while i < chars.len() {
        if chars[i] == '"' && (1..=hashes).all(|n| chars.get(i + n) == Some(&'#')) {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

/// The file's words without what only its tests compile.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let all = all_words(text);
    let is = |i: usize, wanted: &[&str]| {
        wanted
            .iter()
            .enumerate()
            .all(|(n, text)| all.get(i + n).is_some_and(|word| word.text == *text))
    };
    let (mut kept, mut i) = (Vec::new(), 0);
    while i < all.len() {
        if is(i, &["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
            return Vec::new();
        }
        if is(i, &["#", "[", "cfg", "(", "test", ")", "]"])
            || is(i, &["#", "[", "cfg", "(", "all", "(", "test"])
        {
            i = end_of_item(&all, i);
        } else {
            kept.push(all[i].clone());
            i += 1;
        }
    }
    kept
}

const ITEMS: [&str; 15] = [
    "fn", "mod", "use", "struct", "enum", "impl", "const", "static", "trait", "type", "unsafe",
    "async", "let", "extern", "pub",
];

/// Where the item ends that the attribute at `start` belongs to: its `;`, its block, or, for a field, its comma.
fn end_of_item(words: &[Word], start: usize) -> usize {
    let text = |i: usize| words.get(i).map_or("", |word| word.text.as_str());
    let mut i = start;
    while text(i) == "#" {
        i += 1;
        let mut depth = 0;
        loop {
            match text(i) {
                "[" => depth += 1,
                "]" => depth -= 1,
                _ => {}
            }
            i += 1;
            if depth == 0 || i >= words.len() {
                break;
            }
        }
    }
    let ends_with_comma = !ITEMS.contains(&text(i));
    let mut depth = 0;
    while i < words.len() {
        match text(i) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                // The end of what the field stands in.
                if depth == 0 {
                    return i;
                }
                depth -= 1;
                if depth == 0 && text(i + 1) != ";" {
                    return i + 1;
                }
            }
            ";" if depth == 0 => return i + 1,
            "," if depth == 0 && ends_with_comma => return i + 1,
            _ => {}
        }
        i += 1;
    }
    i
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Every path of the file outside its tests: the leaves of `use` trees, and what is written out with `::`.
pub(crate) fn paths(text: &str) -> Vec<RustPath> {
    let words = words(text);
    let text = |i: usize| words.get(i).map_or("", |word| word.text.as_str());
    let (mut found, mut i) = (Vec::new(), 0);
    while i < words.len() {
        // `use<'a>` in a type is not an import.
        if text(i) == "use" && text(i + 1) != "<" {
            i = use_tree(&words, i + 1, &[], &mut found);
        } else if is_name(text(i)) && text(i + 1) == "::" && is_name(text(i + 2)) {
            let (line, mut segments) = (words[i].line, vec![text(i).to_owned()]);
            while text(i + 1) == "::" && is_name(text(i + 2)) {
                i += 2;
                segments.push(text(i).to_owned());
            }
            found.push(RustPath {
                segments,
                line,
                imported: false,
            });
            i += 1;
        } else {
            i += 1;
        }
    }
    found
}

/// Reads one tree from `i` on, and gives back where it ends: at the `,`, `}` or `;` after it.
fn use_tree(words: &[Word], mut i: usize, above: &[String], found: &mut Vec<RustPath>) -> usize {
    let text = |i: usize| words.get(i).map_or("", |word| word.text.as_str());
    let mut segments = above.to_vec();
    let line = words.get(i).map_or(0, |word| word.line);
    loop {
        match text(i) {
            "::" => i += 1,
            "{" => {
                i += 1;
                while i < words.len() && text(i) != "}" {
                    i = use_tree(words, i, &segments, found);
                    if text(i) == "," {
                        i += 1;
                    }
                }
                return i + 1;
            }
            "*" | "self" if !segments.is_empty() => i += 1,
            "as" => i += 2,
            name if is_name(name) => {
                segments.push(name.to_owned());
                i += 1;
            }
            _ => break,
        }
    }
    found.push(RustPath {
        segments,
        line,
        imported: true,
    });
    i
}

#[cfg(test)]
fn written(text: &str) -> Vec<String> {
    paths(text)
        .iter()
        .map(|path| format!("{}:{}", path.line, path.segments.join("::")))
        .collect()
}

#[test]
fn trees_of_use_are_taken_apart() {
    assert_eq!(
        written("use crate::{a::{self, B}, c as d};\nuse std::fs;\nuse gst as g;"),
        [
            "1:crate::a",
            "1:crate::a::B",
            "1:crate::c",
            "2:std::fs",
            "3:gst"
        ]
    );
}

#[test]
fn paths_in_expressions_and_types_are_seen() {
    assert_eq!(
        written("fn f(x: Vec<crate::a::B>) -> T { std::fs::read::<u8>(x) }"),
        ["1:crate::a::B", "1:std::fs::read"]
    );
    assert_eq!(written("fn f() -> impl X + use<'_> {}"), [""; 0]);
}

#[test]
fn comments_strings_and_characters_are_no_code() {
    assert_eq!(written("// a::b\n/* a::b /* c::d */ e::f */"), [""; 0]);
    assert_eq!(
        written(r##"f("a::b \" c::d", r#"e::f " g::h"#, b"i::j", '"', '\'', 'a); k::l"##),
        ["1:k::l"]
    );
}

#[test]
fn code_of_tests_is_left_out_and_nothing_after_it() {
    assert_eq!(
        written("#[cfg(test)]\nmod tests { use a::b; fn f() {} }\nuse c::d;"),
        ["3:c::d"]
    );
    assert_eq!(
        written("#[cfg(test)]\nuse a::{b};\n#[cfg(test)] mod x;\nuse c::d;"),
        ["4:c::d"]
    );
    assert_eq!(
        written("struct S { #[cfg(test)] x: a::B, y: c::D }"),
        ["1:c::D"]
    );
    assert_eq!(
        written("#[cfg(test)]\n#[allow(dead_code)]\nfn f<A, B>() { a::b }\nuse c::d;"),
        ["4:c::d"]
    );
    assert_eq!(written("#![cfg(test)]\nuse a::b;"), [""; 0]);
    assert_eq!(written("#[cfg(unix)]\nuse a::b;"), ["2:a::b"]);
}
