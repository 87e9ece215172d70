//! Each fault that a room must survive. `cargo xtask sim --table` prints what they measure.
#![allow(clippy::panic, reason = "tests say what they expect by panicking")]

use tests::drills;

macro_rules! drills {
    ($($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                let row = drills::$name();
                assert!(row.good, "{}: {}, accepted is {}", row.fault, row.measured, row.accept);
            }
        )+

        #[test]
        fn every_drill_is_a_test() {
            let names = [$(stringify!($name)),+];
            let drills = drills::DRILLS.map(|(name, _)| name);
            assert_eq!(names, drills);
        }
    };
}

drills!(
    tab_closed,
    process_killed,
    two_at_once,
    second_while_loading,
    too_few_are_left,
    freeze_and_thaw,
    stall_without_spare,
    one_way_loss,
    bad_network,
    reordered_and_doubled,
    server_restart,
    host_reloaded,
    host_gone,
    duplicated_tab,
    other_protocol,
    out_of_memory,
    kv_out_of_memory,
    weights_damaged,
    crash_while_loading,
    device_lost,
    engine_stuck,
    storage_full,
    hundred_joins,
    stopped_anywhere,
    ten_moves,
    overlapped_move,
    killed_while_moving,
    a_phone_slows_down,
    flapping,
    hidden_then_stopped,
    low_on_battery,
    hidden_while_idle,
    hidden_and_needed,
    hidden_again_and_again,
);
