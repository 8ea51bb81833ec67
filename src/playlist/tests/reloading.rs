//! Directives and the decision about them.

use super::super::*;

fn edge(msn: u64, part: u32, complete: bool) -> Option<Edge> {
    Some(Edge {
        msn,
        part,
        complete,
    })
}

fn directives(msn: u64, part: impl Into<Option<u32>>) -> Directives {
    let part = part.into();
    Directives {
        position: Some(ReloadPosition { msn, part }),
        skip: false,
    }
}

#[test]
fn directives_are_read_among_other_keys() {
    let check = |query: &str, expected: Directives| {
        assert_eq!(Directives::parse(query), Ok(expected), "{query}");
    };
    check("", Directives::default());
    check("token=a&b", Directives::default());
    check("_HLS_msn=7", directives(7, None));
    check("x=1&_HLS_part=2&_HLS_msn=7", directives(7, 2));
    for value in ["YES", "v2"] {
        let expected = Directives {
            skip: true,
            ..directives(7, 0)
        };
        check(
            &format!("_HLS_msn=7&_HLS_part=0&_HLS_skip={value}"),
            expected,
        );
    }
}

#[test]
fn malformed_directives_are_refused() {
    let check = |query: &str, expected: ReloadError| {
        assert_eq!(Directives::parse(query), Err(expected), "{query}");
    };
    check("_HLS_part=1", ReloadError::PartWithoutMsn);
    for value in ["", "-1", "+1", "1.0", "0x1", " 1", "18446744073709551616"] {
        check(
            &format!("_HLS_msn={value}"),
            ReloadError::Malformed("_HLS_msn"),
        );
    }
    check("_HLS_msn", ReloadError::Malformed("_HLS_msn"));
    check(
        "_HLS_msn=1&_HLS_part=4294967296",
        ReloadError::Malformed("_HLS_part"),
    );
    check("_HLS_skip=no", ReloadError::Malformed("_HLS_skip"));
    check("_HLS_msn=1&_HLS_msn=2", ReloadError::Repeated("_HLS_msn"));
}

fn check(asked: Directives, edge: Option<Edge>, expected: ReloadDecision) {
    assert_eq!(
        decide_reload(asked, edge, false),
        expected,
        "{asked:?} at {edge:?}"
    );
    // Once the source has ended nothing is refused or held.
    assert_eq!(decide_reload(asked, edge, true), ReloadDecision::RespondNow);
}

fn check_now(asked: Directives, edge: Option<Edge>) {
    check(asked, edge, ReloadDecision::RespondNow);
}

fn check_waits(asked: Directives, edge: Option<Edge>) {
    let position = asked.position.expect("only a position waits");
    check(asked, edge, ReloadDecision::WaitFor(position));
}

fn check_refused(asked: Directives, edge: Option<Edge>, error: ReloadError) {
    check(asked, edge, ReloadDecision::BadRequest(error));
}

#[test]
fn what_is_there_is_answered_at_once() {
    check_now(Directives::default(), edge(10, 2, false));
    check_now(Directives::default(), None);
    check_now(directives(10, 2), edge(10, 2, false));
    check_now(directives(10, 0), edge(10, 2, false));
    check_now(directives(10, None), edge(10, 5, true));
    // Evicted long ago.
    check_now(directives(0, 0), edge(10, 2, false));
    check_now(directives(3, None), edge(10, 2, false));
}

#[test]
fn what_comes_next_is_waited_for() {
    check_waits(directives(10, 3), edge(10, 2, false));
    check_waits(directives(10, None), edge(10, 2, false));
    check_waits(directives(11, 0), edge(10, 5, true));
    check_waits(directives(12, None), edge(10, 2, false));
    check_waits(directives(10, 0), None);
}

#[test]
fn a_part_past_the_end_of_its_segment_is_the_first_of_the_next() {
    check_waits(directives(10, 6), edge(10, 5, true));
    check_now(directives(10, 6), edge(11, 0, false));
}

#[test]
fn what_lies_too_far_ahead_is_refused() {
    let too_far = ReloadError::MsnTooFarAhead {
        msn: 13,
        newest: 10,
    };
    check_refused(directives(13, None), edge(10, 2, false), too_far);
    check_refused(directives(13, 0), edge(10, 5, true), too_far);
    check_waits(directives(10, 2 + 9), edge(10, 2, false));
    let part_too_far = ReloadError::PartTooFarAhead { part: 12 };
    check_refused(directives(10, 12), edge(10, 2, false), part_too_far);
    let part = u32::MAX;
    let part_too_far = ReloadError::PartTooFarAhead { part };
    check_refused(directives(11, part), edge(10, 2, false), part_too_far);
    let msn = u64::MAX;
    let too_far = ReloadError::MsnTooFarAhead { msn, newest: 10 };
    check_refused(directives(msn, part), edge(10, 2, false), too_far);
}
