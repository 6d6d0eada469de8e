//! Migrations are embedded; a changed folder has to rebuild this crate even where no listed file changed.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
