//! Mistakes that a test can switch on, one at a time, to see that the comparison with the naive
//! evaluator notices them. Without the feature there are none.

macro_rules! defects {
    ($($name:ident,)*) => {
        /// A mistake that an evaluator can make.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each name says what is wrong")]
        pub enum Defect {
            $($name,)*
        }

        #[cfg(feature = "planted-defects")]
        impl Defect {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

defects! {
    VariableAsPattern,
    GlobUnanchored,
    NullSeesDefault,
    NullInverted,
    UnresolvedIgnored,
    NegationLost,
    ForAllIsForAny,
    ForAnyIsForAll,
    IfExistsIgnored,
    ForAllMissingFalse,
    ForAnyMissingTrue,
    MissingKeyInverted,
    StringsIgnoreCase,
    IgnoreCaseExact,
    BinaryIgnoresCase,
    NoAddressSix,
    LessIsLessOrEqual,
    ArnExact,
    AccountIsDirect,
    AccountNotDelegated,
    RoleNotItsSessions,
    NotPrincipalAnyListed,
    FederatedPrefix,
    NotActionPlain,
    NotResourcePlain,
    ActionCaseSensitive,
    OnlyFirstCondition,
    KeyPolicyDenyIgnored,
    IdentityDenyIgnored,
    BoundaryDenyIgnored,
    BoundaryGrants,
    BoundaryIgnored,
    SessionPolicyIgnored,
    UserBoundByBoundary,
    RoleFreeOfBoundary,
    CrossAccountOneSide,
    IdentityWithoutDelegation,
    ForeignRootNeedsPolicy,
    GrantBeatsDeny,
    GrantBeatsBoundary,
    GrantAnyOperation,
    GrantContextIgnored,
    GrantEqualsIsSubset,
    GrantContextForDescribe,
    GrantSourceIgnored,
    InertStatementsAct,
}

#[cfg(feature = "planted-defects")]
mod selector {
    use std::cell::Cell;

    use super::Defect;

    thread_local!(static SELECTED: Cell<Option<Defect>> = const { Cell::new(None) });

    /// Plants one defect, or none, in the evaluations of this thread.
    pub fn plant(defect: Option<Defect>) {
        SELECTED.set(defect);
    }

    pub(crate) fn planted(defect: Defect) -> bool {
        SELECTED.get() == Some(defect)
    }
}

#[cfg(feature = "planted-defects")]
pub use selector::plant;
#[cfg(feature = "planted-defects")]
pub(crate) use selector::planted;

#[cfg(not(feature = "planted-defects"))]
pub(crate) const fn planted(_: Defect) -> bool {
    false
}
