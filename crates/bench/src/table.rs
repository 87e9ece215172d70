//! A report for people.

use core::fmt::{Display, Formatter, Result};

use crate::{KernelSpeed, Report, TokenSpeed, VariantSpeed};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "{}", self.executor)?;
        if let Some(bandwidth) = &self.bandwidth {
            let (copy, read) = (
                bandwidth.copy_gigabytes_per_s,
                bandwidth.read_gigabytes_per_s,
            );
            writeln!(f, "memory: copies {copy:.1} GB/s, reads {read:.1} GB/s")?;
        }
        writeln!(
            f,
            "\n| weight | columns | kernel | GB/s | Gop/s |\n|---|---|---|---|---|"
        )?;
        for kernel in &self.kernels {
            row(f, kernel)?;
        }
        let tokens = &self.tokens;
        writeln!(
            f,
            "\nprefill of {} tokens: {:.1} tok/s; decode behind them: {:.1} tok/s; {:.1} MiB of weights, {:.1} MiB held",
            tokens.prompt_columns,
            tokens.prefill_tokens_per_s,
            tokens.decode_tokens_per_s,
            tokens.weight_bytes as f64 / f64::from(1 << 20),
            tokens.resident_bytes as f64 / f64::from(1 << 20),
        )?;
        if let (Some(dispatches), Some(objects)) =
            (tokens.dispatches_per_token, tokens.objects_per_token)
        {
            writeln!(
                f,
                "a token has {dispatches} dispatches and creates {objects} objects"
            )?;
        }
        if let Some([hardware, software]) = tokens.dispatches_per_layer {
            writeln!(
                f,
                "a layer has {hardware} dispatches with the kernels for hardware, {software} with those for software adapters"
            )?;
        }
        if !self.variants.is_empty() {
            writeln!(
                f,
                "\n| variant | prefill tok/s | decode tok/s |\n|---|---|---|"
            )?;
        }
        for VariantSpeed { name, tokens, .. } in &self.variants {
            let TokenSpeed {
                prefill_tokens_per_s: prefill,
                decode_tokens_per_s: decode,
                ..
            } = tokens;
            writeln!(f, "| {name} | {prefill:.1} | {decode:.1} |")?;
        }
        for VariantSpeed { name, kernels, .. } in &self.variants {
            for kernel in kernels {
                write!(f, "{name}: ")?;
                row(f, kernel)?;
            }
        }
        Ok(())
    }
}

fn row(f: &mut Formatter<'_>, kernel: &KernelSpeed) -> Result {
    writeln!(
        f,
        "| {} {} x {} | {} | {} | {:.2} | {:.1} |",
        kernel.dtype,
        kernel.rows,
        kernel.cols,
        kernel.columns,
        if kernel.prefill { "prefill" } else { "decode" },
        kernel.gigabytes_per_s,
        kernel.gigaops_per_s,
    )
}
