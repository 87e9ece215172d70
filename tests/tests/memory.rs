//! What phones offer is enough for what they get, and what they are told about it is right.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use model::{NumericClass, WireDtype};
use plan::MemberId;
use tests::{Model, ModelFile, Room, budgets, network::Network};

const MIB: u64 = 1 << 20;

fn class() -> NumericClass {
    NumericClass {
        wire: WireDtype::F16Scaled,
        chunk_columns: NumericClass::DEFAULT_CHUNK_COLUMNS,
        context_columns: 128,
    }
}

#[test]
fn no_phone_holds_more_than_it_offered() {
    for file in [ModelFile::tiny_llama(), ModelFile::smollm2()] {
        let budgets = budgets::exact(&file, class(), 3);
        let mut room = Room::open(
            Model::Real(file.clone()),
            class(),
            &budgets,
            Network::new(1, 5),
        );
        room.begin();
        for (phone, budget) in room.phones.values().zip(budgets) {
            let resident_bytes = phone.resident_bytes();
            assert!(resident_bytes > 0, "every phone is needed");
            assert!(
                resident_bytes <= budget,
                "{resident_bytes} bytes, {budget} were offered"
            );
        }
    }
}

#[test]
fn what_is_missing_is_what_the_third_phone_brings() {
    let file = ModelFile::smollm2();
    let budgets = budgets::exact(&file, class(), 3);
    let mut room = Room::open(
        Model::Real(file.clone()),
        class(),
        &budgets[..2],
        Network::new(1, 5),
    );
    room.begin();
    let faults = room.faults(MemberId::HOST);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].0.code, "capacity");
    let (before, _) = faults[0].0.message.split_once(" MiB short").unwrap();
    let short_mib: u64 = before.rsplit(' ').next().unwrap().parse().unwrap();
    let third_mib = budgets[2] / MIB;
    assert!(
        (1..=third_mib + 1).contains(&short_mib),
        "{}: the third phone offers {third_mib} MiB",
        faults[0].0.message
    );

    let third = room.join(budgets[2]);
    room.run(2_000);
    room.begin();
    assert_eq!(room.faults(MemberId::HOST).len(), 1);
    let plan = room.plan().unwrap();
    for member in [MemberId::HOST, MemberId(1), third] {
        assert!(plan.stages.iter().any(|stage| stage.member == member));
    }
}
