//! Which frames a peer runs, drops silently, or refuses.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use model::{EngineKind, NumericClass, UnitKind, UnitRange, WireDtype};
use plan::{MemberId, Plan, Stage};
use proto::frame::slices;
use proto::{Control, FrameHeader, ModelReference, Slice, Wanted};
use session::seam::{JobInput, WantColumns};
use session::{
    Channel, Computed, EngineChoice, Event, Input, Job, JobId, Output, Peer, PeerConfig,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HOST: MemberId = MemberId::HOST;
const BEFORE: MemberId = MemberId(1);
const ME: MemberId = MemberId(2);
const WIDTH: usize = 4;
const EPOCH: u32 = 5;

const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 4,
    context_columns: 16,
};

fn plan(epoch: u32) -> Plan {
    let stage = |member, start, end| Stage {
        member,
        units: UnitRange { start, end },
        engine: EngineKind::Cpu,
    };
    Plan {
        epoch,
        stages: vec![
            stage(HOST, 0, 2),
            stage(BEFORE, 2, 4),
            stage(ME, 4, 6),
            stage(HOST, 6, 7),
        ],
        class: CLASS,
        held: Vec::new(),
        slots: 2,
        predicted_ms_per_token: 1.0,
        lower_bound_ms_per_token: 1.0,
        predicted_request_ms: 1.0,
        objective_ms: 1.0,
        lower_bound_objective_ms: 1.0,
        bytes_per_token: 1,
    }
}

fn frame(request: u32, position: u32, columns: u32) -> FrameHeader {
    FrameHeader {
        epoch: EPOCH,
        request,
        step: 0,
        stage: 2,
        units: UnitRange { start: 4, end: 6 },
        position,
        columns,
        prefill: true,
        wanted: Wanted::LastColumn,
        dtype: WireDtype::F32,
        timings: 2,
        body_bytes: 8 + 16 * columns,
    }
}

/// The peer in the third stage, loaded.
struct Me {
    peer: Peer,
    outputs: Vec<Output>,
}

impl Me {
    fn new() -> Self {
        let peer = Peer::new(PeerConfig {
            me: ME,
            name: "me".to_owned(),
            budget_bytes: 1,
            metered: false,
            engine: EngineChoice::Cpu,
            client: None,
        });
        let mut me = Self {
            peer,
            outputs: Vec::new(),
        };
        me.input(Input::Connected { member: HOST });
        me.input(Input::Connected { member: BEFORE });
        me.hear(Control::Welcome {
            model: ModelReference {
                id: "a".to_owned(),
                file: Some("b".to_owned()),
                manifest: Some("c".to_owned()),
            },
            hidden_width: WIDTH as u32,
            class: CLASS,
        });
        me.assign(EPOCH);
        me.hear(Control::BeginRequest {
            request: 1,
            slot: 0,
        });
        me
    }

    fn assign(&mut self, epoch: u32) {
        self.hear(Control::Assign {
            plan: plan(epoch),
            unit_kinds: vec![UnitKind::Mlp; 7],
        });
        let job = self.jobs().last().unwrap().0;
        let result = Computed::Loaded {
            resident_bytes: 1,
            cached_columns: Vec::new(),
        };
        self.input(Input::Computed { job, result });
        self.hear(Control::Ready {
            epoch,
            resume: Vec::new(),
        });
        self.outputs.clear();
    }

    fn input(&mut self, input: Input) {
        self.peer.handle(0, input);
        self.outputs
            .extend(std::iter::from_fn(|| self.peer.poll_output()));
    }

    fn hear(&mut self, message: Control) {
        self.input(Input::Received {
            from: HOST,
            channel: Channel::Control,
            bytes: message.encode().unwrap(),
        });
    }

    fn receive(&mut self, from: MemberId, header: &FrameHeader) {
        let body: Vec<u8> = vec![0; header.body_bytes as usize];
        for bytes in slices(header, &body).unwrap() {
            self.input(Input::Received {
                from,
                channel: Channel::Activation,
                bytes,
            });
        }
    }

    fn ran(&mut self, columns: usize) {
        let (job, _) = self.runs().last().cloned().unwrap();
        let result = Computed::Ran {
            values: vec![1.0; columns * WIDTH],
            compute_ms: 2.0,
        };
        self.input(Input::Computed { job, result });
    }

    fn jobs(&self) -> Vec<(JobId, Job)> {
        let jobs = self.outputs.iter().filter_map(|output| match output {
            Output::Compute { job, work } => Some((*job, work.clone())),
            _ => None,
        });
        jobs.collect()
    }

    fn runs(&self) -> Vec<(JobId, Job)> {
        let mut jobs = self.jobs();
        jobs.retain(|(_, job)| matches!(job, Job::Run { .. }));
        jobs
    }

    /// Frames sent on.
    fn sent(&self) -> Vec<(MemberId, FrameHeader)> {
        let sent = self.outputs.iter().filter_map(|output| match output {
            Output::Send {
                to,
                channel: Channel::Activation,
                bytes,
            } => Some((*to, Slice::parse(bytes).unwrap().header)),
            _ => None,
        });
        sent.collect()
    }

    /// Whether the host heard that the plan failed here.
    fn told_host(&self) -> bool {
        let told = |output: &Output| match output {
            Output::Send {
                to: HOST,
                channel: Channel::Control,
                bytes,
            } => matches!(
                Control::decode(bytes),
                Ok(Control::Failed { epoch: EPOCH, .. })
            ),
            _ => false,
        };
        self.outputs.iter().any(told)
    }

    fn refused(&self) -> bool {
        let refusal = |output: &Output| matches!(output, Output::Event(Event::Failed { .. }));
        self.outputs.iter().any(refusal)
    }
}

#[test]
fn a_frame_is_run_and_its_last_column_goes_home() {
    let mut me = Me::new();
    me.receive(BEFORE, &frame(1, 0, 3));
    let expected = Job::Run {
        units: UnitRange { start: 4, end: 6 },
        slot: 0,
        position: 0,
        columns: 3,
        prefill: true,
        want: WantColumns::Last,
        input: JobInput::Hidden(vec![0.0; 3 * WIDTH]),
    };
    assert_eq!(me.runs()[0].1, expected);
    me.ran(1);
    let [(to, header)] = me.sent()[..] else {
        panic!("one frame");
    };
    assert_eq!(to, HOST);
    assert_eq!((header.stage, header.position, header.columns), (3, 2, 1));
    assert_eq!((header.timings, header.body_bytes), (3, 12 + 16));
}

#[test]
fn columns_nobody_wants_are_run_and_not_sent() {
    let mut me = Me::new();
    let chunk = FrameHeader {
        wanted: Wanted::Nothing,
        ..frame(1, 0, 4)
    };
    me.receive(BEFORE, &chunk);
    me.receive(BEFORE, &frame(1, 4, 2));
    assert_eq!(me.runs().len(), 1, "one forward call at a time");
    me.ran(0);
    assert_eq!(me.sent(), []);
    assert_eq!(me.runs().len(), 2);
    me.ran(1);
    assert_eq!(me.sent().len(), 1);
}

#[test]
fn stale_frames_are_dropped_silently() {
    let mut me = Me::new();
    let old = FrameHeader {
        epoch: EPOCH - 1,
        ..frame(1, 0, 3)
    };
    me.receive(BEFORE, &old);
    me.hear(Control::EndRequest { request: 3 });
    me.receive(BEFORE, &frame(3, 0, 3));
    assert_eq!(me.runs(), []);
    me.receive(BEFORE, &frame(4, 0, 3));
    assert_eq!(me.runs(), [], "not announced yet");
    me.hear(Control::BeginRequest {
        request: 4,
        slot: 1,
    });
    assert_eq!(me.runs().len(), 1);
    me.receive(BEFORE, &frame(2, 0, 3));
    assert!(!me.refused());
}

#[test]
fn a_frame_that_comes_twice_is_run_once() {
    let mut me = Me::new();
    me.receive(BEFORE, &frame(1, 0, 4));
    me.receive(BEFORE, &frame(1, 0, 4));
    me.ran(1);
    assert_eq!(me.runs().len(), 1);
    assert!(!me.refused());
}

#[test]
fn what_an_ended_request_computed_goes_nowhere() {
    let mut me = Me::new();
    me.receive(BEFORE, &frame(1, 0, 3));
    me.hear(Control::EndRequest { request: 1 });
    me.hear(Control::BeginRequest {
        request: 2,
        slot: 0,
    });
    me.receive(BEFORE, &frame(2, 0, 2));
    assert_eq!(me.runs().len(), 1);
    me.ran(1);
    assert_eq!(me.sent(), []);
    assert_eq!(me.runs().len(), 2);
    me.ran(1);
    assert_eq!(me.sent().len(), 1);
}

#[test]
fn a_new_plan_makes_old_work_stale() {
    let mut me = Me::new();
    me.receive(BEFORE, &frame(1, 0, 3));
    let (job, _) = me.runs()[0].clone();
    me.assign(EPOCH + 1);
    let values = vec![1.0; WIDTH];
    let result = Computed::Ran {
        values,
        compute_ms: 1.0,
    };
    me.input(Input::Computed { job, result });
    assert_eq!(me.sent(), []);
    assert!(!me.refused());
}

#[test]
fn frames_that_cannot_be_right_are_refused_and_the_host_learns_it() {
    let good = frame(1, 0, 4);
    let generated = FrameHeader {
        prefill: false,
        ..good
    };
    let wrong = [
        FrameHeader { stage: 1, ..good },
        FrameHeader {
            units: UnitRange { start: 4, end: 7 },
            ..good
        },
        FrameHeader {
            timings: 1,
            body_bytes: 4 + 64,
            ..good
        },
        FrameHeader {
            dtype: WireDtype::F16Scaled,
            ..good
        },
        FrameHeader {
            body_bytes: good.body_bytes + 4,
            ..good
        },
        FrameHeader {
            position: u32::MAX,
            ..good
        },
        frame(1, 0, 5),
        frame(1, 2, 3),
        frame(1, 4, 4),
        FrameHeader {
            columns: 0,
            body_bytes: 8,
            ..good
        },
        FrameHeader {
            columns: 9,
            body_bytes: 8 + 16 * 9,
            ..generated
        },
        FrameHeader {
            position: 13,
            ..generated
        },
    ];
    for header in wrong {
        let mut me = Me::new();
        me.receive(BEFORE, &header);
        assert_eq!(me.runs(), [], "{header:?}");
        assert!(me.refused(), "{header:?}");
        assert!(me.told_host(), "{header:?}");
    }
}

#[test]
fn only_the_phone_before_and_the_host_hand_frames_over() {
    let stranger = MemberId(3);
    let mut me = Me::new();
    me.input(Input::Connected { member: stranger });
    me.receive(stranger, &frame(1, 0, 3));
    assert_eq!(me.runs(), []);
    assert!(me.refused());
    assert!(!me.told_host(), "a stranger cannot end the plan");
    let mut me = Me::new();
    me.receive(HOST, &frame(1, 0, 3));
    assert_eq!(me.runs().len(), 1);
}

#[test]
fn a_flood_is_refused_before_it_fills_memory() {
    let mut me = Me::new();
    for request in 2..20 {
        me.receive(BEFORE, &frame(request, 0, 4));
    }
    assert!(me.refused());
}
