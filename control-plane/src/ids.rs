//! Random identifiers and secrets, from the operating system.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 128 random bits as 32 hexadecimal digits.
pub(crate) fn new_id() -> String {
    format!("{:032x}", u128::from_be_bytes(random()))
}

/// A bearer token of 256 random bits, recognizable by its prefix.
pub(crate) fn new_secret() -> String {
    format!("tp_{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

/// A symmetric key of 256 random bits.
pub(crate) fn new_key() -> [u8; 32] {
    random()
}

/// One random byte, for what is to differ between processes and need not be secret.
pub(crate) fn byte() -> u8 {
    let [byte] = random();
    byte
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "an operating system without randomness cannot run us safely")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
