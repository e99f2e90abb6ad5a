use super::*;

#[test]
fn a_download_name_cannot_break_out_of_the_header() {
    assert_eq!(
        attachment("adapter_model.safetensors"),
        "attachment; filename*=UTF-8''adapter_model.safetensors"
    );
    let nasty = attachment("a\"b\r\nx: y; é.txt");
    assert_eq!(nasty, "attachment; filename*=UTF-8''a%22b%0D%0Ax%3A%20y%3B%20%C3%A9.txt");
}

#[test]
fn debug_of_an_object_shows_its_size_and_not_its_content() {
    let object = Object { bytes: Bytes::from_static(b"dear diary"), etag: "tag".into() };
    let text = format!("{object:?} {object:#?}");
    assert!(text.contains("10") && text.contains("tag"), "{text}");
    assert!(!text.contains("diary") && !text.contains("100, 101, 97, 114"), "{text}");
}

fn terms(sha256: &str) -> PutTerms {
    PutTerms {
        bytes: 3,
        sha256: sha256.into(),
        content_type: "text/plain".into(),
        valid: Duration::from_secs(60),
        now: 1_000,
    }
}

#[test]
fn the_checksum_is_given_in_base64_and_nonsense_is_refused() {
    // printf abc | openssl dgst -sha256 -binary | base64
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(checksum_base64(&terms(abc)).unwrap(), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    for bad in ["", "ba78", &abc[..63], &format!("{abc}00"), &abc.replace('b', "g")] {
        assert!(matches!(checksum_base64(&terms(bad)), Err(StoreError::Unsignable { .. })), "{bad:?}");
    }
}

#[tokio::test]
async fn the_memory_store_conforms() {
    conformance::run(std::sync::Arc::new(MemoryStore::new()), "suite/").await;
}

/// How a store is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Conditions of puts under a `race` key are ignored.
    Conditions,
    /// As S3's once were: every third read shows what was there before.
    StaleReads,
    /// A listing forgets where it was to start.
    StartAfter,
    /// Keys that differ in case alone are one.
    Case,
    /// Every tenth condition of a counter is ignored.
    LostUpdates,
}

struct Broken {
    inner: MemoryStore,
    fault: Fault,
    operations: std::sync::atomic::AtomicUsize,
    before: std::sync::Mutex<Option<Bytes>>,
}

impl Broken {
    fn key(&self, key: &str) -> String {
        if self.fault == Fault::Case { key.to_lowercase() } else { key.to_owned() }
    }

    /// True at every `n`th call.
    fn every(&self, n: usize) -> bool {
        self.operations.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % n == n - 1
    }
}

#[async_trait::async_trait]
impl Store for Broken {
    async fn get(&self, key: &str) -> Result<Object, StoreError> {
        let mut object = self.inner.get(&self.key(key)).await?;
        if self.fault == Fault::StaleReads && key.contains("versions") && self.every(3) {
            object.bytes = self.before.lock().unwrap().clone().unwrap_or(object.bytes);
        }
        Ok(object)
    }
    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        self.inner.head(&self.key(key)).await
    }
    async fn put(&self, key: &str, bytes: Bytes, condition: PutCondition) -> Result<String, StoreError> {
        let ignored = match self.fault {
            Fault::Conditions => key.contains("race"),
            Fault::LostUpdates => key.contains("counter") && self.every(10),
            _ => false,
        };
        if self.fault == Fault::StaleReads && key.contains("versions") {
            *self.before.lock().unwrap() = self.inner.get(key).await.ok().map(|object| object.bytes);
        }
        self.inner.put(&self.key(key), bytes, if ignored { PutCondition::Always } else { condition }).await
    }
    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.inner.delete(&self.key(key)).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, StoreError> {
        let forgotten = self.fault == Fault::StartAfter && prefix.contains("after");
        self.inner.list(prefix, after.filter(|_| !forgotten), limit).await
    }
    async fn presign_get(
        &self,
        key: &str,
        valid: Duration,
        name: Option<&str>,
    ) -> Result<String, StoreError> {
        self.inner.presign_get(key, valid, name).await
    }
    async fn presign_put(&self, key: &str, terms: &PutTerms) -> Result<PresignedPut, StoreError> {
        self.inner.presign_put(key, terms).await
    }
}

async fn run_broken(fault: Fault) {
    let (operations, before) = Default::default();
    let store = Broken { inner: MemoryStore::new(), fault, operations, before };
    conformance::run(std::sync::Arc::new(store), "suite/").await;
}

#[tokio::test]
#[should_panic(expected = "exactly one racer wins")]
async fn the_suite_notices_a_store_that_ignores_conditions() {
    run_broken(Fault::Conditions).await;
}

#[tokio::test]
#[should_panic(expected = "the writer reads what it wrote")]
async fn the_suite_notices_a_store_that_shows_what_was() {
    run_broken(Fault::StaleReads).await;
}

#[tokio::test]
#[should_panic(expected = "what comes after `a/1`")]
async fn the_suite_notices_a_store_that_lists_from_the_beginning() {
    run_broken(Fault::StartAfter).await;
}

#[tokio::test]
#[should_panic(expected = "`Case` can be a key's name")]
async fn the_suite_notices_a_store_that_knows_no_case() {
    run_broken(Fault::Case).await;
}

#[tokio::test]
#[should_panic(expected = "every increment counts once")]
async fn the_suite_notices_a_store_that_loses_updates() {
    run_broken(Fault::LostUpdates).await;
}

#[tokio::test]
async fn faults_come_as_planned_and_a_lost_answer_is_a_landed_put() {
    let plan = FaultPlan { seed: 1, before_per_mille: 300, after_per_mille: 300 };
    let store = FailingStore::new(MemoryStore::new(), plan);
    let (mut fine, mut lost, mut failed) = (0, 0, 0);
    for i in 0..1000 {
        let key = format!("key-{i}");
        let answer = store.put(&key, Bytes::new(), PutCondition::Always).await;
        match (answer, store.inner().get(&key).await) {
            (Ok(_), Ok(_)) => fine += 1,
            (Err(_), Ok(_)) => lost += 1,
            (Err(_), Err(_)) => failed += 1,
            (Ok(_), Err(_)) => panic!("an accepted put must be there"),
        }
    }
    // Binomial with p = 0.4 and 0.3 of 1000: five standard deviations are under 80.
    assert!(
        (320..480).contains(&fine) && (220..380).contains(&lost) && (220..380).contains(&failed),
        "{fine} {lost} {failed}"
    );
}
