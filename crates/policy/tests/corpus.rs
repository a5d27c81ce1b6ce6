//! The policies under `tests/policies`, with the decisions that they are documented to give.

mod support;

use serde_json::Value;
use support::given::{case, list, text};
use support::{Compiled, naive};

#[test]
fn documented_policies_decide_as_documented() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/policies");
    let (mut files, mut decisions, mut wrong) = (0, 0, vec![]);
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        files += 1;
        for decision in list(&file["decisions"]) {
            let case = case(&file, &decision);
            let expected = text(&decision["expect"]);
            let got = (Compiled::new(&case).answer(&case), naive::answer(&case));
            if (got.0.name(), got.1.name()) != (expected, expected) {
                wrong.push(format!("{}: {decision}: {got:?}", path.display()));
            }
            decisions += 1;
        }
    }
    println!("{files} files, {decisions} decisions");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files >= 100 && decisions >= 400, "{files} files, {decisions} decisions");
}
