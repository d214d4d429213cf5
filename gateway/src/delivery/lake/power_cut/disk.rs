//! What is on the disk and what of it is durable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Survival;
use crate::delivery::lake::files::parent_of;

/// Below the root: removed and replaced files whose removal is not durable.
pub(super) const GRAVEYARD: &str = ".power-cut";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId(u64);

struct FileState {
    /// Where its bytes are now.
    place: PathBuf,
    len: u64,
    /// So much of its beginning is durable as it is.
    durable_len: u64,
    /// Durable bytes behind that, which were cut off and would come back.
    cut_off: Vec<u8>,
    /// Bytes behind `durable_len` that were written and cut off again: the kernel may have saved them meanwhile.
    ghost: Vec<u8>,
    /// A `sync_data` failed: nothing more of it becomes durable, whatever later ones answer.
    lost: bool,
}

pub(super) struct Disk {
    graveyard: PathBuf,
    next_id: u64,
    files: HashMap<FileId, FileState>,
    names: BTreeMap<PathBuf, FileId>,
    durable_names: BTreeMap<PathBuf, FileId>,
    /// Folders whose own name is not durable.
    new_dirs: BTreeSet<PathBuf>,
}

impl Disk {
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        let graveyard = root.join(GRAVEYARD);
        match fs::remove_dir_all(&graveyard) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&graveyard)?,
        }
        Ok(Self {
            graveyard,
            next_id: 0,
            files: HashMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            new_dirs: BTreeSet::new(),
        })
    }

    pub(super) fn create(&mut self, path: &Path, must_be_new: bool) -> io::Result<(FileId, File)> {
        let known = self.find(path)?;
        let file = OpenOptions::new().append(true).create(true).create_new(must_be_new).open(path)?;
        let id = match known {
            Some(id) => {
                self.truncate(id, 0)?;
                file.set_len(0)?;
                id
            }
            None => {
                let id = self.add(path, 0);
                self.names.insert(path.to_owned(), id);
                id
            }
        };
        Ok((id, file))
    }

    pub(super) fn open_append(&mut self, path: &Path) -> io::Result<(FileId, File)> {
        let file = OpenOptions::new().append(true).open(path)?;
        let id = self.find(path)?.ok_or(io::ErrorKind::NotFound)?;
        Ok((id, file))
    }

    pub(super) fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        match fs::create_dir(dir) {
            Ok(()) => {
                self.new_dirs.insert(dir.to_owned());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        if !dir.is_dir() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.new_dirs.retain(|new| parent_of(new) != dir);
        self.durable_names.retain(|path, _| parent_of(path) != dir);
        let here = self.names.iter().filter(|(path, _)| parent_of(path) == dir);
        self.durable_names.extend(here.map(|(path, id)| (path.clone(), *id)));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?.ok_or(io::ErrorKind::NotFound)?;
        if let Some(replaced) = self.find(to)? {
            self.bury(replaced)?;
        }
        fs::rename(from, to)?;
        self.names.remove(from);
        self.names.insert(to.to_owned(), id);
        self.file(id).place = to.to_owned();
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let id = self.find(path)?.ok_or(io::ErrorKind::NotFound)?;
        self.bury(id)?;
        fs::remove_file(path)?;
        self.names.remove(path);
        Ok(())
    }

    pub(super) fn appended(&mut self, id: FileId, bytes: u64) {
        self.file(id).len += bytes;
    }

    pub(super) fn synced(&mut self, id: FileId) {
        let file = self.file(id);
        if !file.lost {
            file.durable_len = file.len;
            file.cut_off.clear();
            file.ghost.clear();
        }
    }

    pub(super) fn sync_failed(&mut self, id: FileId) {
        self.file(id).lost = true;
    }

    /// To be called before the real file is cut.
    pub(super) fn truncate(&mut self, id: FileId, len: u64) -> io::Result<()> {
        let file = self.file(id);
        if len < file.len && file.durable_len < file.len {
            file.ghost = read_range(&file.place, file.durable_len, file.len)?;
        }
        if len < file.durable_len {
            let mut cut_off = read_range(&file.place, len, file.durable_len)?;
            cut_off.append(&mut file.cut_off);
            file.cut_off = cut_off;
            file.durable_len = len;
        }
        file.len = len;
        Ok(())
    }

    /// Brings the real folder into the state that a power cut leaves.
    pub(super) fn keep_durable(&mut self, survival: Survival) -> io::Result<()> {
        let mut chance = match survival {
            Survival::Nothing => Chance(None),
            Survival::Some(seed) => Chance(Some(seed)),
            Survival::Everything => return fs::remove_dir_all(&self.graveyard),
        };
        let dirs: BTreeSet<PathBuf> =
            self.names.keys().chain(&self.new_dirs).map(|path| parent_of(path).to_owned()).collect();
        for dir in dirs {
            if chance.one_in(2) {
                self.sync_dir(&dir)?;
            }
        }

        // Read before anything is removed: what is removed may be what has to come back.
        let mut contents = Vec::new();
        for (path, id) in std::mem::take(&mut self.durable_names) {
            contents.push((path, self.content(id, &mut chance)?));
        }
        for path in std::mem::take(&mut self.names).into_keys() {
            fs::remove_file(path)?;
        }
        for dir in &self.new_dirs {
            match fs::remove_dir_all(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        for (path, content) in contents {
            // A file whose folder is gone went with it.
            if parent_of(&path).is_dir() {
                File::create(path)?.write_all(&content)?;
            }
        }
        fs::remove_dir_all(&self.graveyard)
    }

    fn content(&mut self, id: FileId, chance: &mut Chance) -> io::Result<Vec<u8>> {
        let file = self.file(id);
        let mut content = read_range(&file.place, 0, file.durable_len)?;
        if !file.cut_off.is_empty() {
            // The cut may have reached the disk, or not.
            if !chance.one_in(2) {
                content.extend_from_slice(&file.cut_off);
            }
            return Ok(content);
        }
        if !file.ghost.is_empty() && chance.one_in(2) {
            let survived = usize::try_from(chance.below(file.ghost.len() as u64 + 1)).unwrap_or(0);
            let survived = if chance.one_in(2) { file.ghost.len() } else { survived };
            content.extend_from_slice(&file.ghost[..survived]);
            return Ok(content);
        }
        let survived = chance.below(file.len - file.durable_len + 1);
        content.extend(read_range(&file.place, file.durable_len, file.durable_len + survived)?);
        if survived > 0 && chance.one_in(2) {
            // The length reached the disk before the bytes did.
            content.resize(content.len() + usize::try_from(chance.below(64)).unwrap_or(0), 0);
        }
        Ok(content)
    }

    /// Keeps a file's bytes, whose name goes, as long as a power cut could bring the name back.
    fn bury(&mut self, id: FileId) -> io::Result<()> {
        if self.durable_names.values().any(|durable| *durable == id) {
            let grave = self.graveyard.join(id.0.to_string());
            let file = self.file(id);
            fs::hard_link(&file.place, &grave)?;
            file.place = grave;
        }
        Ok(())
    }

    /// A file's id. One that was there before anything was done with it here is taken to be durable.
    fn find(&mut self, path: &Path) -> io::Result<Option<FileId>> {
        if let Some(id) = self.names.get(path) {
            return Ok(Some(*id));
        }
        let len = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let id = self.add(path, len);
        self.names.insert(path.to_owned(), id);
        self.durable_names.insert(path.to_owned(), id);
        Ok(Some(id))
    }

    fn add(&mut self, path: &Path, len: u64) -> FileId {
        let id = FileId(self.next_id);
        self.next_id += 1;
        let state = FileState {
            place: path.to_owned(),
            len,
            durable_len: len,
            cut_off: Vec::new(),
            ghost: Vec::new(),
            lost: false,
        };
        self.files.insert(id, state);
        id
    }

    fn file(&mut self, id: FileId) -> &mut FileState {
        self.files.get_mut(&id).expect("an id is given out only for a file that is kept")
    }
}

fn read_range(path: &Path, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(to - from).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Draws what survives; always "no" for [`Survival::Nothing`]. SplitMix64.
struct Chance(Option<u64>);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        let Some(state) = &mut self.0 else { return 0 };
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.0.is_some() && self.below(n) == 0
    }
}
