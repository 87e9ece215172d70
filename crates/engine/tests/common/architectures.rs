//! The tests that a GPU executor passes on the tiny model of every architecture. Whoever says `architectures!()` has `make`, a
//! constructor of executors, and `tested_at_join`, the self-test of a joining phone.

macro_rules! architectures {
    () => {
        architectures!(llama llama31 qwen2 qwen3 gemma3 phi3 gpt2 gptj bloom bloom6 opt opt350);
    };
    ($($name:ident)+) => {
        $(mod $name {
            use super::*;

            #[test]
            fn matches_torch() {
                contract::hidden_states_and_logits(&Tiny::open(stringify!($name)), &make);
            }

            #[test]
            fn every_split_gives_the_same_bits() {
                contract::every_split(&Tiny::open(stringify!($name)), &make);
            }

            #[test]
            fn a_phone_tests_its_kernels_on_it() {
                tested_at_join(&Tiny::open(stringify!($name)));
            }
        })+
    };
}
