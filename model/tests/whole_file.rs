//! Files in the making, when the process is about to end. Alone in its process: it abandons them all.

use ptxgen_model::{WholeFile, abandon_unfinished_files};
use std::{
    fs::{read, read_dir, write},
    io::Write,
};

#[test]
fn a_file_that_was_abandoned_leaves_nothing_and_cannot_be_finished() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    write(&old, "old").unwrap();
    let count = || read_dir(folder.path()).unwrap().count();

    let mut files = [&old, &new].map(|place| WholeFile::create(place).unwrap());
    files.iter_mut().for_each(|file| file.write_all(b"half").unwrap());
    assert_eq!(count(), 3);
    abandon_unfinished_files(|| assert_eq!(count(), 1));
    for file in files {
        assert!(file.finish().is_err());
    }
    assert_eq!(count(), 1);
    assert_eq!(read(&old).unwrap(), b"old");

    // What the system says is not about the name in the making.
    let nowhere = WholeFile::create(&folder.path().join("nowhere/x")).unwrap_err();
    assert_eq!(nowhere.to_string(), "No such file or directory (os error 2)");

    // Others may follow, where the process goes on after all.
    let mut file = WholeFile::create(&new).unwrap();
    file.write_all(b"new").unwrap();
    file.finish().unwrap();
    assert_eq!(read(&new).unwrap(), b"new");
}
