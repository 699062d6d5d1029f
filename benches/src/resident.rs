//! How much memory this process keeps resident, by the kernel's own account.

use std::fs;

/// Bytes that are resident and backed by no file: heap, stacks, anonymous mappings. None where the system does not tell.
pub fn anonymous() -> Option<u64> {
    field("RssAnon:")
}

/// Lets the peak start anew from what is resident now; whether the system can.
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The most that was resident since [`reset_peak`], code and other files left out. Pages of files are only ever added
/// while a program runs, so what is taken off is at least what was there at the peak.
pub fn peak_anonymous() -> Option<u64> {
    let files = field("RssFile:")? + field("RssShmem:")?;
    Some(field("VmHWM:")?.saturating_sub(files))
}

fn field(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kilobytes)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Memory that is freed again still shows in the peak.
    #[test]
    fn a_peak_is_remembered() {
        let before = anonymous().unwrap();
        if !reset_peak() {
            println!("this kernel does not reset peaks");
            return;
        }
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        drop(block);
        let peak = peak_anonymous().unwrap();
        assert!(peak >= before + (60 << 20), "{before}, {peak}");
    }
}
