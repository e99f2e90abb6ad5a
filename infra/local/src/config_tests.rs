use super::*;

fn config(worker_threads: usize, workers: Option<usize>) -> ServeConfig {
    ServeConfig {
        port: 0,
        s3_port: None,
        data_dir: "data".into(),
        models_dir: None,
        site_dir: None,
        worker_threads,
        processes: workers.map(|count| WorkerProcesses { count, program: "dpft".into() }),
        slice_seconds: 60,
    }
}

#[test]
fn processes_share_the_threads_and_have_one_at_least() {
    for (threads, workers, each) in
        [(8, None, 8), (8, Some(1), 8), (8, Some(2), 4), (8, Some(3), 2), (1, Some(4), 1)]
    {
        assert_eq!(
            config(threads, workers).threads_of_one(),
            each,
            "{threads} threads, {workers:?} processes"
        );
    }
}

#[test]
fn nonsense_numbers_of_processes_are_refused() {
    for workers in [0, 257] {
        assert!(
            matches!(config(2, Some(workers)).checked_s3_port(), Err(LocalError::Config(_))),
            "{workers}"
        );
    }
    assert!(config(2, Some(256)).checked_s3_port().is_ok());
}
