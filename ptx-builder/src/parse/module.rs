//! Modules: what stands outside of kernels.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Reading;
use super::body::Body;
use super::cursor::{Cursor, found};
use super::error::{ParseError, ParseErrorKind, ParseErrors};
use super::lex::{Fault, Kind, Pos, Token, tokens};
use super::parser::Parser;
use super::suggest;
use crate::ir::{Linkage, Loc, Module, Symbol, Variable};
use crate::target::{PtxVersion, Target};
use crate::types::Space;

/// Errors of a text are reported up to this many, if each rejects its part only.
const MOST_IN_PARTS: usize = 5000;

impl<'a> Parser<'a> {
    /// Whether the text may say what lines of a cache are for.
    pub(super) fn has_cache_hints(&self) -> bool {
        self.module.version.is_none_or(|v| v >= PtxVersion(74)) && self.target.is_none_or(|t| t.sm() >= 70)
    }

    /// Whether the text may access 32 bytes of memory in one instruction.
    pub(super) fn has_wide_accesses(&self) -> bool {
        self.module.version.is_none_or(|v| v >= PtxVersion(88)) && self.target.is_none_or(|t| t.sm() >= 100)
    }

    /// Reads the tokens; a text beyond 2 GiB is refused.
    pub fn new(file_name: &str, text: &'a str, is_strict: bool) -> Result<Self, ParseErrors> {
        let file: Arc<str> = file_name.into();
        if text.len() > i32::MAX as usize {
            let at = Loc::new(file, 1, 1);
            let what = "a text beyond 2 GiB".to_owned();
            let kind = ParseErrorKind::Unsupported { what, instead: "split it" };
            return Err(ParseErrors(vec![ParseError { at, kind, within: None }]));
        }
        let (tokens, faults) = tokens(text);
        let module = Module::new(Target::SM_75);
        let mut parser = Parser {
            cursor: Cursor::new(tokens),
            module,
            files: HashMap::new(),
            functions: Vec::new(),
            function_ids: HashMap::new(),
            file,
            symbols: HashMap::new(),
            shared: HashMap::new(),
            entries: HashSet::new(),
            drafts: Vec::new(),
            target: None,
            is_beheaded: false,
            errors: Vec::new(),
            part: None,
            refused: Vec::new(),
            outside: 0,
            is_strict,
        };
        for fault in faults {
            parser.fault(fault);
        }
        parser.files();
        Ok(parser)
    }

    /// Finds the `.file` directives, which may stand after their use.
    fn files(&mut self) {
        for window in self.cursor.tokens().windows(3) {
            let [directive, number, name] = window else { continue };
            if let (".file", Kind::Int(number), Kind::Str) = (directive.text, number.kind, name.kind) {
                self.files.entry(number).or_insert_with(|| unquote(name.text).into());
            }
        }
    }

    /// Records a fault, up to the most that are told.
    pub fn fault(&mut self, (at, kind): Fault) {
        let at = self.place(at);
        let within = self.part.as_ref().map(|(name, _)| name.clone());
        let told = self.told();
        if told >= ParseErrors::MOST || self.errors.len() >= MOST_IN_PARTS {
            return;
        }
        let kind = if told + 1 < ParseErrors::MOST { kind } else { ParseErrorKind::TooMany };
        self.outside += usize::from(within.is_none());
        self.errors.push(ParseError { at, kind, within });
    }

    /// How many errors count towards the most.
    fn told(&self) -> usize {
        match &self.part {
            _ if self.is_strict => self.errors.len(),
            Some((_, before)) => self.errors.len() - before,
            None => self.outside,
        }
    }

    /// Whether so much is wrong that reading on is of no use: here, if an error rejects its part only.
    pub fn gave_up(&self) -> bool {
        self.told() >= ParseErrors::MOST || self.errors.len() >= MOST_IN_PARTS
    }

    /// Begins an entry or a function.
    pub fn begin_part(&mut self, name: &str) {
        self.part = Some((name.into(), self.errors.len()));
    }

    /// Ends it; whether nothing was wrong.
    pub fn end_part(&mut self, is_entry: bool) -> bool {
        let Some((name, before)) = self.part.take() else { return true };
        let is_whole = self.errors.len() == before;
        if !is_whole {
            self.refused.push((name, is_entry));
        }
        is_whole
    }

    /// A position in this text.
    pub fn place(&self, at: Pos) -> Loc {
        Loc::new(self.file.clone(), at.line, at.column)
    }

    /// The module's variable of this name.
    pub fn symbol(&self, name: &str) -> Option<Symbol> {
        self.symbols.get(name).copied()
    }

    /// The module's shared array of this name, as a variable of a kernel.
    pub fn shared(&self, name: &str) -> Option<&Variable> {
        self.shared.get(name)
    }

    /// The nearest name of a variable of the module.
    pub fn nearest_symbol(&self, name: &str) -> Option<String> {
        suggest::nearest(name, self.symbols.keys().copied())
    }

    /// The error that a token should be something else.
    pub fn unknown(&self, token: &Token<'_>, expected: &str) -> ParseErrorKind {
        ParseErrorKind::Expected { expected: expected.to_owned(), found: found(token) }
    }

    /// The whole text: what could be read, and what was rejected.
    pub fn read(mut self) -> Reading {
        if let Err(fault) = self.header() {
            self.fault(fault);
            self.is_beheaded = true;
        }
        while !self.cursor.at_end() && !self.gave_up() {
            let start = self.cursor.at();
            if let Err(fault) = self.item() {
                self.fault(fault);
                self.recover(start);
            }
        }
        if let Some(target) = self.target {
            self.module.target = target;
        }
        let mut done = Vec::new();
        for draft in std::mem::take(&mut self.drafts) {
            self.begin_part(&draft.kernel.name);
            match self.link(&draft, &mut done) {
                Ok(mut kernel) => {
                    kernel.canonicalize();
                    self.module.kernels.push(kernel);
                }
                Err(fault) => self.fault(fault),
            }
            self.end_part(true);
        }
        self.errors.sort_by_key(|e| (e.at.line, e.at.column));
        let functions = self.functions.iter().filter(|f| f.draft.is_some() || f.is_refused).count();
        Reading { module: self.module, errors: self.errors, refused: self.refused, functions }
    }

    /// Goes on before the next directive that starts an item, with at least one
    /// token taken since `start`.
    pub fn recover(&mut self, start: Pos) {
        if self.cursor.at() == start {
            self.cursor.take();
        }
        while !self.cursor.at_end() {
            let token = self.cursor.peek();
            match token.text {
                "{" => self.cursor.skip_braces(),
                ".visible" | ".extern" | ".weak" | ".common" | ".entry" | ".func" | ".global" | ".const" | ".file"
                | ".section" | ".target" | ".version"
                    if token.kind == Kind::Directive =>
                {
                    return;
                }
                _ => {
                    self.cursor.take();
                }
            }
        }
    }

    fn item(&mut self) -> Result<(), Fault> {
        let token = self.cursor.peek();
        if token.kind != Kind::Directive {
            return Err(self.cursor.expected("a directive such as .version, .entry or .global"));
        }
        match token.text {
            ".section" => {
                self.section();
                return Ok(());
            }
            ".pragma" => return self.pragma(),
            ".file" => return self.source_file(),
            ".alias" => return self.alias(),
            // A place outside of any code.
            ".loc" => {
                while self.cursor.peek().at.line == token.at.line && !self.cursor.at_end() {
                    self.cursor.take();
                }
                return Ok(());
            }
            ".entry" | ".func" | ".global" | ".const" | ".shared" | ".visible" | ".extern" | ".weak" | ".common" => {
                return self.declaration();
            }
            _ => {}
        }
        self.cursor.take();
        match token.text {
            // What is wrong with the head has been told.
            ".version" | ".target" | ".address_size" if self.is_beheaded => {
                while !self.cursor.at_end() && self.cursor.peek().kind != Kind::Directive {
                    self.cursor.take();
                }
                Ok(())
            }
            ".version" | ".target" | ".address_size" => {
                let what = format!("'{}' here", token.text);
                let instead = "a file begins with .version, .target and .address_size, once each";
                Err((token.at, ParseErrorKind::Unsupported { what, instead }))
            }
            _ => Err((token.at, self.unknown(&token, "a directive of a module such as .entry or .global"))),
        }
    }

    /// `.file 1 "name", time, size`
    pub fn source_file(&mut self) -> Result<(), Fault> {
        self.cursor.take();
        self.cursor.int("the file's number", 0, u64::MAX.into())?;
        if self.cursor.peek().kind != Kind::Str {
            return Err(self.cursor.expected("the file's name in quotes"));
        }
        self.cursor.take();
        while self.cursor.take_if(',') {
            self.cursor.int("a number", 0, u64::MAX.into())?;
        }
        Ok(())
    }

    /// `.alias other, function;`
    fn alias(&mut self) -> Result<(), Fault> {
        self.cursor.take();
        let other = self.cursor.name("the function's other name")?;
        self.cursor.punct(',')?;
        let name = self.cursor.name("the function's name")?;
        let id = self.function_ids.get(name.text).copied();
        let unknown = || ParseErrorKind::UnknownName { name: name.text.to_owned(), near: None };
        self.function_ids.insert(other.text, id.ok_or_else(|| (name.at, unknown()))?);
        self.cursor.punct(';')
    }

    /// Whether a name represents something of the module that is not a function.
    pub fn is_declared(&self, name: &str) -> bool {
        self.symbols.contains_key(name) || self.shared.contains_key(name) || self.entries.contains(name)
    }

    /// The rest of an entry from its name on.
    fn entry(&mut self) -> Result<(), Fault> {
        let name = self.cursor.name("the entry's name")?;
        let start = self.cursor.at();
        self.begin_part(name.text);
        if self.is_declared(name.text) || self.function_ids.contains_key(name.text) {
            self.fault((name.at, ParseErrorKind::Redeclared { name: name.text.to_owned() }));
        }
        let draft = Body::entry(self, name.text, name.at).unwrap_or_else(|fault| {
            self.fault(fault);
            self.recover(start);
            None
        });
        if self.end_part(true)
            && let Some(draft) = draft
        {
            self.entries.insert(name.text);
            self.drafts.push(draft);
        }
        Ok(())
    }

    /// What every file begins with: its version, its target and, as a rule, the size of addresses.
    fn header(&mut self) -> Result<(), Fault> {
        if !self.cursor.take_directive(".version") {
            return Err(self.cursor.expected("a .version directive, with which every file begins"));
        }
        match self.cursor.take() {
            Token { kind: Kind::Float(_), text, at } => {
                self.module.version = Some(text.parse().map_err(|e| (at, ParseErrorKind::Version(e)))?);
            }
            token => return Err((token.at, self.unknown(&token, "a version such as 7.8"))),
        }
        if !self.cursor.take_directive(".target") {
            return Err(self.cursor.expected("a .target directive after the version"));
        }
        self.target()?;
        while self.cursor.take_directive(".target") {
            self.target()?;
        }
        if self.cursor.take_directive(".address_size") {
            self.cursor.int("the address size", 64, 64)?;
        }
        Ok(())
    }

    fn target(&mut self) -> Result<(), Fault> {
        loop {
            let token = self.cursor.name("a target such as sm_90")?;
            if self.target.is_none() || token.text.starts_with("sm_") {
                self.target = Some(token.text.parse().map_err(|e| (token.at, ParseErrorKind::Target(e)))?);
            } else if !matches!(token.text, "debug" | "texmode_unified" | "texmode_independent") {
                let what = format!("target option '{}'", token.text);
                return Err((token.at, ParseErrorKind::Unsupported { what, instead: "leave it out" }));
            }
            if !self.cursor.take_if(',') {
                return Ok(());
            }
        }
    }

    /// `.pragma "nounroll";` and its like are hints for the assembler (it warns of those that it does not
    /// know) and change no result, so they are left out.
    pub fn pragma(&mut self) -> Result<(), Fault> {
        self.cursor.take();
        loop {
            let token = self.cursor.peek();
            if token.kind != Kind::Str {
                return Err(self.cursor.expected("a pragma in quotes"));
            }
            self.cursor.take();
            if !self.cursor.take_if(',') {
                return self.cursor.punct(';');
            }
        }
    }

    /// An entry, which is visible in any case, or a variable.
    fn declaration(&mut self) -> Result<(), Fault> {
        let mut linkage = Linkage::Internal;
        let mut linked = false;
        loop {
            let token = self.cursor.take();
            if matches!(token.text, ".extern" | ".visible" | ".weak") && std::mem::replace(&mut linked, true) {
                return Err((token.at, self.unknown(&token, "one linkage only")));
            }
            match token.text {
                ".extern" => linkage = Linkage::External,
                ".visible" => linkage = Linkage::Visible,
                ".weak" => linkage = Linkage::Weak,
                // A definition that another module's may take the place of.
                ".common" => linkage = Linkage::Weak,
                ".entry" if linkage == Linkage::External => {
                    return Err((token.at, self.unknown(&token, "a function or a variable after .extern")));
                }
                ".entry" => return self.entry(),
                ".func" => return self.function(linkage),
                ".global" => return self.module_variable(Space::Global, linkage),
                ".const" => return self.module_variable(Space::Const, linkage),
                ".shared" => return self.module_variable(Space::Shared, linkage),
                _ => return Err((token.at, self.unknown(&token, ".entry, .global, .const or .shared"))),
            }
        }
    }

    fn module_variable(&mut self, space: Space, linkage: Linkage) -> Result<(), Fault> {
        for (at, name, mut variable) in self.variables(space)? {
            variable.linkage = linkage;
            if self.is_declared(name) || self.function_ids.contains_key(name) {
                return Err((at, ParseErrorKind::Redeclared { name: name.to_owned() }));
            }
            if linkage == Linkage::External && space == Space::Shared {
                // The launch sets its size, whatever the text says of it.
                (variable.len, variable.linkage) = (None, Linkage::Internal);
            } else if variable.len.is_none() && linkage != Linkage::External {
                let what = "an array without length".to_owned();
                return Err((at, ParseErrorKind::Unsupported { what, instead: "give its length" }));
            } else if space == Space::Shared {
                variable.linkage = Linkage::Internal;
                self.shared.insert(name, variable);
                continue;
            }
            self.symbols.insert(name, Symbol::Module(self.module.variables.len() as u32));
            self.module.variables.push(variable);
        }
        Ok(())
    }

    /// `.section .debug_str { ... }`, without effect on the program.
    pub fn section(&mut self) {
        self.cursor.take();
        while self.cursor.peek().kind == Kind::Directive || self.cursor.peek().kind == Kind::Word {
            self.cursor.take();
        }
        self.cursor.skip_braces();
    }

    /// A power of two after `.align`.
    pub fn align(&mut self) -> Result<u32, Fault> {
        let at = self.cursor.at();
        let align = self.cursor.count("an alignment")?;
        if align.is_power_of_two() {
            Ok(align)
        } else {
            let found = align.to_string();
            Err((at, ParseErrorKind::Expected { expected: "a power of two".to_owned(), found }))
        }
    }
}

/// A string's text without its quotes and escapes.
fn unquote(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}
