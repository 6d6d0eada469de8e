//! Puts the Python package of `hooks/python` into the binary, so that a node needs no installed copy of its own release.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let package =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks/python/src/toolplane_hooks").canonicalize()?;
    println!("cargo::rerun-if-changed={}", package.display());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&package)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "py" || extension == "lock"));
    files.sort();
    let mut list = String::from("[\n");
    for path in &files {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a file without a name")?;
        let path = path.to_str().ok_or("a path that is no text")?;
        writeln!(list, "    ({name:?}, include_str!({path:?})),")?;
    }
    list.push(']');
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out.join("python_package.rs"), list)?;
    Ok(())
}
