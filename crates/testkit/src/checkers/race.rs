//! Whether a right outlived its revocation: uses of a key that race with the loss of the right to
//! it. The right was there before, and nobody gives it back.

use std::fmt;
use std::ops::AddAssign;

/// One revocation and the uses around it. All times are nanoseconds on one clock.
#[derive(Debug)]
pub struct Race {
    /// How the right was lost.
    pub kind: &'static str,
    /// When the first attempt to revoke began.
    pub invoked: u64,
    /// When the acknowledgement was there.
    pub acknowledged: u64,
    /// The log index that the acknowledgement names.
    pub index: Option<u64>,
    /// What was tried meanwhile.
    pub uses: Vec<Use>,
}

/// One use, sent once.
#[derive(Debug)]
pub struct Use {
    /// The operation.
    pub operation: &'static str,
    /// Whether it changes the state.
    pub mutation: bool,
    /// The node that was asked.
    pub node: usize,
    /// When it began.
    pub invoked: u64,
    /// When the reply was there, or was given up.
    pub returned: u64,
    /// What came of it.
    pub told: Told,
    /// The log index that the reply names.
    pub index: Option<u64>,
}

/// What the user of a key was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was done.
    Done,
    /// There is no right to it.
    Refused,
    /// Nothing that says so: no reply, or the service failed.
    Nothing,
}

/// What races showed.
#[derive(Debug, Default)]
pub struct Found {
    /// What should not have been.
    pub violations: Vec<String>,
    /// What should not have been unless a leader was lost meanwhile.
    pub suspects: Vec<Suspect>,
    /// How much there was to judge.
    pub counts: Counts,
}

/// An acknowledged mutation whose reply names an index after the revocation's. A mutation that is
/// sent to a second leader is answered by the result of the first time and the index of the second.
#[derive(Debug)]
pub struct Suspect {
    /// When it began.
    pub invoked: u64,
    /// When the reply was there.
    pub returned: u64,
    /// What it is a violation of.
    pub text: String,
}

/// Uses, counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Those invoked before the acknowledgement of the revocation.
    pub before: usize,
    /// Those among them that had no reply yet when the revocation began: each may go either way.
    pub overlapping: usize,
    /// Those among the overlapping that were refused.
    pub overlapping_refused: usize,
    /// Those invoked after the acknowledgement.
    pub after: usize,
    /// Those among them that were refused.
    pub after_refused: usize,
    /// Those among them that succeeded.
    pub after_done: usize,
    /// Mutations that were acknowledged.
    pub mutations_done: usize,
    /// Mutations that were refused.
    pub mutations_refused: usize,
}

/// Judges a race.
pub fn check(race: &Race) -> Found {
    let mut found = Found::default();
    // A state in which somebody was refused has the revocation in it, as every later one has.
    let refused = race.uses.iter().filter(|one| one.told == Told::Refused && !race.is_early(one));
    let revoked_at = refused.filter_map(|one| one.index).chain(race.index).min();
    for one in &race.uses {
        found.counts.count(race, one);
        let after = one.invoked > race.acknowledged;
        let later = one.index.zip(revoked_at).is_some_and(|(index, revoked)| index >= revoked);
        match one.told {
            Told::Done if after => {
                found.violations.push(race.text(one, "done, invoked after the acknowledgement"));
            }
            Told::Done if later && one.mutation => found.suspects.push(Suspect {
                invoked: one.invoked,
                returned: one.returned,
                text: race.text(one, "applied after the revocation"),
            }),
            Told::Done if later => {
                found.violations.push(race.text(one, "done in a state without the right"));
            }
            Told::Refused if race.is_early(one) => {
                found.violations.push(race.text(one, "refused before the revocation began"));
            }
            _ => {}
        }
    }
    found
}

impl Found {
    /// Adds what another race showed.
    pub fn add(&mut self, other: Self) {
        self.violations.extend(other.violations);
        self.suspects.extend(other.suspects);
        self.counts += other.counts;
    }

    /// Makes violations of the suspects that nothing explains, and says how many are left.
    pub fn resolve(&mut self, explained: impl Fn(&Suspect) -> bool) -> usize {
        let (open, guilty): (Vec<_>, Vec<_>) = self.suspects.drain(..).partition(explained);
        self.violations.extend(guilty.into_iter().map(|suspect| suspect.text));
        open.len()
    }
}

impl Race {
    /// Whether it was over before the revocation began.
    fn is_early(&self, one: &Use) -> bool {
        one.returned < self.invoked
    }

    fn text(&self, one: &Use, what: &str) -> String {
        let milliseconds = |time: u64| time as f64 / 1e6;
        let (from, to) = (milliseconds(self.invoked), milliseconds(self.acknowledged));
        let index = Index(self.index);
        format!("{one}: {what}; {} lasted from {from:.3} to {to:.3} ms{index}", self.kind)
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: u64| time as f64 / 1e6;
        let (from, to) = (milliseconds(self.invoked), milliseconds(self.returned));
        let (operation, node) = (self.operation, self.node);
        write!(f, "{operation} through node {node}, {from:.3} to {to:.3} ms{}", Index(self.index))
    }
}

struct Index(Option<u64>);

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |index| write!(f, " at index {index}"))
    }
}

impl Counts {
    fn count(&mut self, race: &Race, one: &Use) {
        let (done, refused) = (one.told == Told::Done, one.told == Told::Refused);
        if one.invoked > race.acknowledged {
            self.after += 1;
            self.after_refused += usize::from(refused);
            self.after_done += usize::from(done);
        } else {
            self.before += 1;
            let overlaps = !race.is_early(one);
            self.overlapping += usize::from(overlaps);
            self.overlapping_refused += usize::from(overlaps && refused);
        }
        self.mutations_done += usize::from(one.mutation && done);
        self.mutations_refused += usize::from(one.mutation && refused);
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.before += other.before;
        self.overlapping += other.overlapping;
        self.overlapping_refused += other.overlapping_refused;
        self.after += other.after;
        self.after_refused += other.after_refused;
        self.after_done += other.after_done;
        self.mutations_done += other.mutations_done;
        self.mutations_refused += other.mutations_refused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A revocation from 10 to 20 at index 100, and one use.
    fn race(invoked: u64, returned: u64, told: Told, index: u64) -> Race {
        let (operation, mutation, node, index) = ("Encrypt", false, 0, Some(index));
        let one = Use { operation, mutation, node, invoked, returned, told, index };
        let (invoked, acknowledged) = (10, 20);
        Race { kind: "RevokeGrant", invoked, acknowledged, index: Some(100), uses: vec![one] }
    }

    fn mutating(mut race: Race) -> Race {
        race.uses[0].mutation = true;
        race
    }

    fn violations(race: &Race) -> usize {
        check(race).violations.len()
    }

    #[test]
    fn a_use_invoked_after_the_acknowledgement_must_not_succeed() {
        assert_eq!(violations(&race(21, 30, Told::Done, 99)), 1);
        assert_eq!(violations(&mutating(race(21, 30, Told::Done, 99))), 1);
        assert_eq!(violations(&race(20, 30, Told::Done, 99)), 0, "it overlaps");
        assert_eq!(violations(&race(21, 30, Told::Refused, 101)), 0);
        assert_eq!(violations(&race(21, 30, Told::Nothing, 101)), 0);
    }

    #[test]
    fn a_use_in_a_state_with_the_revocation_must_not_succeed() {
        assert_eq!(violations(&race(15, 30, Told::Done, 100)), 1);
        assert_eq!(violations(&race(15, 30, Told::Done, 99)), 0);
        let mut unnamed = race(15, 30, Told::Done, 90);
        unnamed.index = None;
        assert_eq!(violations(&unnamed), 0);
        unnamed.uses.extend(race(12, 30, Told::Refused, 90).uses);
        assert_eq!(violations(&unnamed), 1, "another was refused in that state");
    }

    #[test]
    fn a_mutation_after_the_revocation_needs_an_excuse() {
        let late = mutating(race(15, 30, Told::Done, 101));
        let mut found = check(&late);
        assert_eq!((found.violations.len(), found.resolve(|_| true)), (0, 1));
        let mut found = check(&late);
        let lasted = |suspect: &Suspect| suspect.returned - suspect.invoked > 15;
        assert_eq!((found.resolve(lasted), found.violations.len()), (0, 1));
        let mut early = check(&mutating(race(15, 30, Told::Done, 99)));
        assert_eq!((early.resolve(|_| false), early.violations.len()), (0, 0));
    }

    #[test]
    fn nobody_is_refused_too_early() {
        assert_eq!(violations(&race(1, 9, Told::Refused, 90)), 1);
        assert_eq!(violations(&race(1, 10, Told::Refused, 100)), 0);
        assert_eq!(violations(&race(1, 9, Told::Nothing, 90)), 0);
        let mut early = race(1, 9, Told::Refused, 80);
        early.uses.extend(race(1, 9, Told::Done, 90).uses);
        assert_eq!(violations(&early), 1, "it tells nothing of the revocation");
    }

    #[test]
    fn uses_are_counted_by_their_place() {
        let mut found = check(&race(1, 5, Told::Done, 90));
        found.add(check(&mutating(race(15, 30, Told::Refused, 100))));
        found.add(check(&race(21, 30, Told::Refused, 101)));
        found.add(check(&race(21, 30, Told::Nothing, 101)));
        let (before, overlapping, overlapping_refused) = (2, 1, 1);
        let (after, after_refused, after_done) = (2, 1, 0);
        let (mutations_done, mutations_refused) = (0, 1);
        let expected = Counts {
            before,
            overlapping,
            overlapping_refused,
            after,
            after_refused,
            after_done,
            mutations_done,
            mutations_refused,
        };
        assert_eq!(found.counts, expected);
    }
}
