//! The table of key specs in `docs/cryptography.md` is the one in the code.
//!
//! After a change, `cargo test -p keystead-crypto -- --ignored write_table` writes it.

use std::fmt::Write as _;
use std::fs;

use keystead_crypto::spec::{self, Signing, Spec, Use};
use keystead_types::KeySpec;

const DOCUMENT: &str = "../../docs/cryptography.md";
const BEGIN: &str = "<!-- The table of crates/crypto/src/spec.rs; do not edit by hand. -->\n";
const END: &str = "<!-- End of the table. -->\n";

#[test]
fn the_document_has_the_table() {
    let (_, table, _) = parts();
    assert_eq!(table, self::table(), "write_table brings them together");
}

#[test]
#[ignore = "writes a file"]
fn write_table() {
    let (before, _, after) = parts();
    fs::write(DOCUMENT, [&before, BEGIN, &table(), END, &after].concat()).unwrap();
}

/// What stands before the table, the table, and what stands after it.
fn parts() -> (String, String, String) {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    (before.to_owned(), table.to_owned(), after.to_owned())
}

fn table() -> String {
    let mut table = String::from(
        "| spec | usage | algorithm | input | longest output | public key | data key pairs |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for &key_spec in KeySpec::ALL {
        let spec = spec::of(key_spec);
        if !spec.supported() {
            writeln!(table, "| `{key_spec}` | – | not supported | – | – | – | – |").unwrap();
        }
        for (usage, algorithm, input, output) in spec.uses.iter().flat_map(rows) {
            let (public_key, pairs) = (yes_or_no(spec.public_key), yes_or_no(spec.data_key_pair));
            let Spec { key_spec, .. } = spec;
            writeln!(
                table,
                "| `{key_spec}` | `{usage}` | `{algorithm}` | {input} | {output} | {public_key} | \
                 {pairs} |"
            )
            .unwrap();
        }
    }
    table
}

type Row = (&'static str, &'static str, String, String);

fn rows(of: &Use) -> Vec<Row> {
    let usage = of.usage().as_str();
    let row = |algorithm, input, output| (usage, algorithm, input, output);
    match of {
        Use::EncryptDecrypt(all) => {
            let each = all.iter().map(|one| {
                let input = format!("plaintext to {}", one.max_plaintext);
                row(one.algorithm.as_str(), input, format!("ciphertext {}", one.max_ciphertext))
            });
            each.collect()
        }
        Use::SignVerify(all) => {
            let each = all.iter().map(|one| {
                let output = format!("signature {}", one.max_signature);
                row(one.algorithm.as_str(), messages(one), output)
            });
            each.collect()
        }
        Use::GenerateVerifyMac(all) => {
            let each = all.iter().map(|one| {
                let input = format!("message; key {}", one.key);
                row(one.algorithm.as_str(), input, format!("MAC {}", one.mac))
            });
            each.collect()
        }
        Use::KeyAgreement(all) => {
            let each = all.iter().map(|one| {
                let output = format!("shared secret {}", one.shared_secret);
                row(one.algorithm.as_str(), "public key of the other".to_owned(), output)
            });
            each.collect()
        }
        Use::EncapsulateDecapsulate(all) => {
            let each = all.iter().map(|one| {
                let input = format!("ciphertext {}", one.ciphertext);
                row(one.algorithm.as_str(), input, format!("shared secret {}", one.shared_secret))
            });
            each.collect()
        }
    }
}

fn messages(of: &Signing) -> String {
    let each = of.messages.iter().map(|message| match message.length {
        Some(length) => format!("`{}` {length}", message.message_type),
        None => format!("`{}`", message.message_type),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}
