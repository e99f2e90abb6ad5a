use super::*;

#[test]
fn every_job_is_done_once() {
    for count in [0, 1, 1000] {
        let mut done = vec![0_u32; count];
        for_each(done.iter_mut().enumerate().collect(), |(index, slot)| *slot += index as u32 + 1);
        assert!(done.iter().enumerate().all(|(index, &slot)| slot == index as u32 + 1));
    }
}
