//! A mixture finds out which of two laws holds, of which nobody tells it. A failure here means that the example `laws` no
//! longer shows what it says.

#[expect(dead_code, reason = "the example's program is not tested")]
#[path = "../examples/laws.rs"]
#[expect(clippy::module_inception, reason = "the example is a module of this test")]
mod laws;

#[test]
fn each_law_gets_an_expert_of_its_own() {
    let report = laws::learn(0, 400, 500).unwrap();
    let [mixture, one, wide] = report.errors;
    assert!(report.information > 0.85, "{report}");
    assert!(mixture < 0.8 * one && mixture < wide, "{report}");
    // Without the expert of a law, that law is not predicted any more, and the other is.
    let [complete, without] = report.by_law;
    let worse = [0, 1].map(|law| without[law] / complete[law]);
    assert!(worse[0].max(worse[1]) > 5.0 && worse[0].min(worse[1]) < 2.0, "{report}");
}
