//! Python's pickles, as far as `torch.save` writes them (protocol 2 and the opcodes of later ones that say the same): read as data. Nothing
//! is imported or called; what a pickle would call is a value like others (CPython, `Lib/pickletools.py`).

use std::{collections::BTreeMap, rc::Rc};

use model::ModelError;

/// Values on the stack, and remembered ones, at most.
const MAX_VALUES: usize = 1 << 22;

/// What a pickle says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`, booleans, floats and bytes, which no checkpoint here needs.
    Other,
    /// An integer.
    Integer(i64),
    /// A string.
    Text(Rc<str>),
    /// A tuple or a list.
    Items(Rc<Vec<Value>>),
    /// A dictionary, in order.
    Pairs(Rc<Vec<(Value, Value)>>),
    /// Something to import: "module name".
    Global(Rc<str>),
    /// A persistent id, whatever it stands for.
    Persistent(Rc<Value>),
    /// What calling a global with arguments would give.
    Called(Rc<(Value, Value)>),
}

/// The value that a pickle ends with.
///
/// # Errors
/// It ends too early, contradicts itself, or has an opcode that `torch.save` does not write.
pub fn parse(bytes: &[u8]) -> Result<Value, ModelError> {
    Machine {
        bytes,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
    }
    .run()
}

struct Machine<'a> {
    bytes: &'a [u8],
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value>,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<Value, ModelError> {
        loop {
            let [opcode] = self.take()?;
            match opcode {
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                other => self.step(other)?,
            }
            if self.stack.len().max(self.marks.len()) > MAX_VALUES {
                return Err(ModelError::corrupt("its pickle is too large"));
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), ModelError> {
        match opcode {
            0x80 => self.take::<1>().map(drop),
            0x95 => self.take::<8>().map(drop),
            b'N' | 0x88 | 0x89 => self.push(Value::Other),
            b'G' => {
                self.take::<8>()?;
                self.push(Value::Other)
            }
            b'K' => {
                let [byte] = self.take()?;
                self.push(Value::Integer(i64::from(byte)))
            }
            b'M' => {
                let number = u16::from_le_bytes(self.take()?);
                self.push(Value::Integer(i64::from(number)))
            }
            b'J' => {
                let number = i32::from_le_bytes(self.take()?);
                self.push(Value::Integer(i64::from(number)))
            }
            0x8a => self.long(),
            b'X' => {
                let length = u32::from_le_bytes(self.take()?);
                self.text(length as usize)
            }
            0x8c => {
                let [length] = self.take()?;
                self.text(usize::from(length))
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(format!("{module} {name}").into()))
            }
            b'q' => {
                let [slot] = self.take()?;
                self.remember(u32::from(slot))
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.take()?);
                self.remember(slot)
            }
            0x94 => self.remember(u32::try_from(self.memo.len()).unwrap_or(u32::MAX)),
            b'h' => {
                let [slot] = self.take()?;
                self.recall(u32::from(slot))
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.take()?);
                self.recall(slot)
            }
            b')' | b']' => self.push(Value::Items(Rc::default())),
            b'}' => self.push(Value::Pairs(Rc::default())),
            0x85..=0x87 => self.tuple(usize::from(opcode - 0x84)),
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.push(Value::Items(Rc::new(items)))
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![key, value])
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(items)
            }
            b'R' => {
                let (arguments, called) = (self.pop()?, self.pop()?);
                // An ordered dictionary is one like others.
                self.push(match called {
                    Value::Global(name) if &*name == "collections OrderedDict" => {
                        Value::Pairs(Rc::default())
                    }
                    called => Value::Called(Rc::new((called, arguments))),
                })
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(Rc::new(id)))
            }
            // Attributes of an object.
            b'b' => self.pop().map(drop),
            other => Err(ModelError::corrupt(format!(
                "its pickle has the opcode {other:#04x}"
            ))),
        }
    }

    fn push(&mut self, value: Value) -> Result<(), ModelError> {
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, ModelError> {
        self.stack
            .pop()
            .ok_or_else(|| ModelError::corrupt("its pickle takes what it has not put"))
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, ModelError> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        let mark = mark.ok_or_else(|| ModelError::corrupt("its pickle lacks a mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, count: usize) -> Result<(), ModelError> {
        let start = self.stack.len().checked_sub(count);
        let start =
            start.ok_or_else(|| ModelError::corrupt("its pickle takes what it has not put"))?;
        let items = self.stack.split_off(start);
        self.push(Value::Items(Rc::new(items)))
    }

    fn append(&mut self, more: Vec<Value>) -> Result<(), ModelError> {
        match self.stack.last_mut() {
            Some(Value::Items(items)) => Rc::make_mut(items).extend(more),
            _ => return Err(ModelError::corrupt("its pickle appends to what is no list")),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Value>) -> Result<(), ModelError> {
        let mut items = items.into_iter();
        let pairs = core::iter::from_fn(|| Some((items.next()?, items.next()?)));
        match self.stack.last_mut() {
            Some(Value::Pairs(all)) => Rc::make_mut(all).extend(pairs),
            // A class of somebody's own that is filled like a dictionary: not ours.
            Some(Value::Called(_)) => drop(pairs.last()),
            _ => {
                return Err(ModelError::corrupt(
                    "its pickle fills what is no dictionary",
                ));
            }
        }
        Ok(())
    }

    fn long(&mut self) -> Result<(), ModelError> {
        let [length] = self.take()?;
        let bytes = self.slice(usize::from(length))?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut all = [if negative { 0xff } else { 0 }; 8];
        let target = all.get_mut(..bytes.len());
        target
            .ok_or_else(|| ModelError::corrupt("its pickle has a number of more than 64 bits"))?
            .copy_from_slice(bytes);
        self.push(Value::Integer(i64::from_le_bytes(all)))
    }

    fn text(&mut self, length: usize) -> Result<(), ModelError> {
        let text = core::str::from_utf8(self.slice(length)?);
        let text = text.map_err(|_| ModelError::corrupt("its pickle has text that is none"))?;
        self.push(Value::Text(text.into()))
    }

    fn line(&mut self) -> Result<String, ModelError> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n');
        let line = self.slice(end.unwrap_or(usize::MAX))?;
        let line = String::from_utf8_lossy(line).into_owned();
        self.take::<1>()?;
        Ok(line)
    }

    fn remember(&mut self, slot: u32) -> Result<(), ModelError> {
        let last = self.stack.last().cloned();
        let last = last.ok_or_else(|| ModelError::corrupt("its pickle remembers nothing"))?;
        self.memo.insert(slot, last);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), ModelError> {
        let value = self.memo.get(&slot).cloned();
        self.push(
            value.ok_or_else(|| ModelError::corrupt("its pickle recalls what it never knew"))?,
        )
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or_else(cut_off)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], ModelError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(cut_off)?;
        self.bytes = rest;
        Ok(taken)
    }
}

fn cut_off() -> ModelError {
    ModelError::corrupt("its pickle is cut off")
}
