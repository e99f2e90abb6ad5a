use super::*;
use crate::fixtures::{NOW, TEXT, World, event, message, request};
use crate::handle_dead_letters;
use protocol::hyperparameters::DpLoraRequest;
use protocol::state::Status;
use std::io::Result;

/// The units of CloudWatch's `MetricDatum` that are used here.
const UNITS: [&str; 4] = ["Count", "Count/Second", "None", "Seconds"];

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Lines {
    fn values(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A world whose worker writes metrics.
async fn watched() -> (World, Lines) {
    let (mut world, lines) = (World::new().await, Lines::default());
    let metrics = Metrics::new("dpft/test", Box::new(lines.clone()));
    world.worker.context.runner = metrics.watch(Arc::clone(&world.worker.context.runner));
    world.worker.metrics = Some(metrics);
    (world, lines)
}

/// What the specification requires of a line: every reference has its target, of the right type.
fn assert_embedded_metric_format(line: &Value) {
    let aws = line["_aws"].as_object().unwrap();
    assert_eq!(aws.keys().collect::<Vec<_>>(), ["CloudWatchMetrics", "Timestamp"]);
    assert_eq!(aws["Timestamp"], NOW * 1000, "milliseconds");
    let [directive] = aws["CloudWatchMetrics"].as_array().unwrap().as_slice() else {
        panic!("one directive")
    };
    let members: Vec<_> = directive.as_object().unwrap().keys().collect();
    assert_eq!(members, ["Dimensions", "Metrics", "Namespace"]);
    assert_eq!(directive["Namespace"], "dpft/test");
    let sets = directive["Dimensions"].as_array().unwrap();
    assert!(!sets.is_empty());
    for key in sets.iter().flat_map(|set| set.as_array().unwrap()) {
        assert!(line[key.as_str().unwrap()].is_string(), "{key}");
    }
    let metrics = directive["Metrics"].as_array().unwrap();
    assert!((1..=100).contains(&metrics.len()));
    for metric in metrics {
        assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
        assert!(UNITS.contains(&metric["Unit"].as_str().unwrap()), "{metric}");
    }
}

fn report(job: &JobState, slice: u64) -> SliceReport {
    SliceReport {
        job: job.id.clone(),
        slice,
        model: "demo-llama-4m".into(),
        steps: 3,
        expected_tokens: Some(600.0),
        seconds: 4.0,
        epsilon_spent: 1.5,
    }
}

#[tokio::test]
async fn a_line_is_exactly_what_the_specification_wants() {
    let (world, lines) = watched().await;
    let job = world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    let metrics = world.worker.metrics.as_ref().unwrap();
    *locked(&metrics.latest) = Some(report(&job, 2));
    metrics.done(&message(&job, 2), Outcome::Continued, NOW);
    let expected = json!({
        "_aws": {
            "Timestamp": 1_790_000_000_000_u64,
            "CloudWatchMetrics": [{
                "Namespace": "dpft/test",
                "Dimensions": [[], ["Model"]],
                "Metrics": [
                    {"Name": "Slices", "Unit": "Count"},
                    {"Name": "Steps", "Unit": "Count"},
                    {"Name": "SliceSeconds", "Unit": "Seconds"},
                    {"Name": "EpsilonSpent", "Unit": "None"},
                    {"Name": "TokensPerSecond", "Unit": "Count/Second"},
                ],
            }],
        },
        "Slices": 1, "Steps": 3, "SliceSeconds": 4.0, "EpsilonSpent": 1.5, "TokensPerSecond": 150.0,
        "Model": "demo-llama-4m", "job": job.id, "slice": 2,
    });
    assert_eq!(lines.values(), [expected]);
}

#[tokio::test]
async fn a_job_in_slices_writes_a_line_for_each_and_they_add_up() {
    let (world, lines) = watched().await;
    let job = world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    assert_eq!(world.work(0).await, 5);
    let (state, lines) = (world.state(&job).await, lines.values());
    assert_eq!(lines.len(), 5);
    lines.iter().for_each(assert_embedded_metric_format);
    let sum = |name: &str| lines.iter().filter_map(|line| line[name].as_f64()).sum::<f64>();
    assert_eq!((sum("Slices"), sum("Steps"), sum("JobsSucceeded")), (5.0, 5.0, 1.0));
    assert!((sum("SliceSeconds") - state.progress.seconds_trained).abs() < 1e-9);
    assert_eq!(lines[4]["JobsSucceeded"], 1);
    let spent: Vec<f64> = lines.iter().map(|line| line["EpsilonSpent"].as_f64().unwrap()).collect();
    assert!(spent.is_sorted() && spent[4] == state.progress.epsilon_spent, "{spent:?}");
    let tokens = state.protection.plan.sampling_rate() * state.progress.tokens as f64;
    let speed = lines[0]["TokensPerSecond"].as_f64().unwrap() * lines[0]["SliceSeconds"].as_f64().unwrap();
    assert!((speed - tokens).abs() < 1e-9, "one step a slice: {speed} {tokens}");
}

/// Named after what once went wrong: the shards of a watched trainer were refused.
#[tokio::test]
async fn steps_that_workers_share_are_made_and_counted_once() {
    let (world, lines) = watched().await;
    let request = DpLoraRequest { workers: Some(2), ..request() };
    let job = world.submit(&world.upload(TEXT.as_bytes()).await, request).await;
    world.work(1_000).await;
    assert_eq!(world.state(&job).await.status, Status::Succeeded);
    let lines = lines.values();
    lines.iter().for_each(assert_embedded_metric_format);
    let sum = |name: &str| lines.iter().filter_map(|line| line[name].as_f64()).sum::<f64>();
    assert_eq!((sum("Slices"), sum("Steps"), sum("JobsSucceeded")), (5.0, 5.0, 1.0));
    assert!(lines.iter().all(|line| line.get("TokensPerSecond").is_none()), "no worker's own speed");
}

#[tokio::test]
async fn only_the_model_is_a_dimension_and_no_line_names_a_tenant() {
    let (world, lines) = watched().await;
    world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    world.work(0).await;
    for line in lines.values() {
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[], ["Model"]]));
        assert!(!line.to_string().contains(world.tenant.as_str()), "{line}");
    }
}

#[tokio::test]
async fn what_was_not_committed_is_not_counted() {
    let (world, lines) = watched().await;
    let job = world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    let metrics = world.worker.metrics.as_ref().unwrap();
    for outcome in [Outcome::Finished, Outcome::Dropped, Outcome::Stale { resent: true }] {
        *locked(&metrics.latest) = Some(report(&job, 0));
        metrics.done(&message(&job, 0), outcome, NOW);
    }
    // Left behind by a slice that another worker has fenced.
    *locked(&metrics.latest) = Some(report(&job, 0));
    metrics.done(&message(&job, 1), Outcome::Continued, NOW);
    assert!(lines.values().is_empty(), "{:?}", lines.values());
}

#[tokio::test]
async fn a_job_that_ends_as_a_dead_letter_counts_as_failed_without_a_model() {
    let (world, lines) = watched().await;
    let job = world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    let body = serde_json::to_string(&message(&job, 0)).unwrap();
    handle_dead_letters(&world.worker, event(&[("a", &body, 6)])).await;
    let lines = lines.values();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_embedded_metric_format(line);
    assert_eq!((&line["JobsFailed"], line.get("Model"), line.get("Slices")), (&json!(1), None, None));
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
}
