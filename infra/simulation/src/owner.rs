//! What the users do: owners upload, create jobs, look, cancel and delete, through the real API, whose process may die under any request; the operator
//! puts jobs back to work that failed on the service's side.

use crate::world::Shared;
use crate::{chance, elsewhere, pick};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use protocol::id::{JobId, TenantId};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::ServiceExt;

/// What an owner was told of a job.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) tenant: TenantId,
    pub(crate) job: JobId,
    pub(crate) cancelled: bool,
    pub(crate) deleted: bool,
}

/// An owner's wishes for a job.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) key: String,
    pub(crate) body: String,
    /// Cancels it, some time.
    pub(crate) cancels: bool,
    /// Deletes it, some time.
    pub(crate) deletes: bool,
}

impl Wish {
    pub(crate) fn new(owner: usize, number: usize) -> Self {
        let workers = [1, 1, 2, 3][pick(4)];
        let settings = serde_json::json!({
            "steps": 2 + pick(4), "batch_size": 64, "epsilon": 1.5, "workers": workers, "loss_curve": chance(500),
        });
        let suffix = chance(150).then_some("unlucky");
        let body = serde_json::json!({
            "model": "tiny", "training_file": "FILE", "suffix": suffix,
            "method": {"type": "dp_lora", "dp_lora": settings},
        });
        Self {
            key: format!("wish-{owner}-{number}"),
            body: body.to_string(),
            cancels: chance(150),
            deletes: chance(250),
        }
    }
}

/// A request whose server may die at any await; its writes may land nevertheless.
struct Mortal<F>(Option<Pin<Box<F>>>, u32);

impl<F: Future> Future for Mortal<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if chance(self.1) {
            self.0 = None;
        }
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(request) => request.as_mut().poll(context).map(Some),
        }
    }
}

/// One owner with a key of its own.
pub(crate) struct Owner {
    pub(crate) shared: Arc<Shared>,
    /// The API, in processes of its own.
    pub(crate) routers: [Router; 2],
    pub(crate) tenant: TenantId,
    pub(crate) api_key: String,
}

impl Owner {
    /// Status and JSON of an answer; none when it never came.
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Option<(StatusCode, serde_json::Value)> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.api_key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a valid request");
        let deaths = self.shared.request_deaths();
        let router = self.routers[pick(self.routers.len())].clone();
        let response = Mortal(Some(Box::pin(router.oneshot(request))), deaths).await?;
        let response = response.expect("the router never fails");
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.ok()?;
        assert_ne!(status, StatusCode::UNAUTHORIZED, "a key that is known was refused");
        Some((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// Sends until there is an answer that is final.
    async fn insist(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (StatusCode, serde_json::Value) {
        loop {
            match self.send(method, path, headers, body.to_owned()).await {
                Some((status, answer)) if !status.is_server_error() => return (status, answer),
                _ => elsewhere().await,
            }
        }
    }

    /// Uploads a text and returns its file.
    pub(crate) async fn upload(&self, text: &str) -> String {
        let form = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n--edge\r\n\
             content-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{text}\r\n--edge--\r\n"
        );
        let headers = [("content-type", "multipart/form-data; boundary=edge")];
        let (status, answer) = self.insist("POST", "/v1/files", &headers, &form).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["id"].as_str().expect("a file has an id").to_owned()
    }

    /// Brings one job into being and through its life.
    pub(crate) async fn pursue(&self, file: String, wish: Wish) {
        let body = wish.body.replace("FILE", &file);
        let headers = [("content-type", "application/json"), ("idempotency-key", wish.key.as_str())];
        let (status, answer) = self.insist("POST", "/v1/fine_tuning/jobs", &headers, &body).await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer["error"]["code"], "quota_exceeded", "{answer}");
            return;
        }
        if status == StatusCode::CONFLICT {
            let code = answer["error"]["code"].as_str().unwrap_or_default();
            // A rival request for the same wish may have had its job deleted meanwhile.
            let expected = ["privacy_budget_exceeded", "idempotency_key_reused"];
            assert!(expected.contains(&code), "{answer}");
            return;
        }
        assert_eq!(status, StatusCode::OK, "{answer}");
        let job = JobId::parse(answer["id"].as_str().expect("a job has an id")).expect("a valid id");
        self.shared.tell(&self.tenant, &job, |_| {});
        let path = format!("/v1/fine_tuning/jobs/{job}");
        for _ in 0..pick(300) {
            elsewhere().await;
        }
        if chance(300) {
            let (status, answer) = self.insist("GET", &path, &[], "").await;
            assert!(matches!(status, StatusCode::OK | StatusCode::NOT_FOUND), "{answer}");
        }
        if wish.cancels {
            let (status, answer) = self.insist("POST", &format!("{path}/cancel"), &[], "").await;
            if status == StatusCode::OK {
                self.shared.tell(&self.tenant, &job, |told| told.cancelled = true);
            } else {
                assert!(matches!(status, StatusCode::CONFLICT | StatusCode::NOT_FOUND), "{answer}");
            }
        }
        for _ in 0..pick(200) {
            elsewhere().await;
        }
        if wish.deletes {
            let (status, answer) = self.insist("DELETE", &path, &[], "").await;
            assert_eq!((status, &answer["deleted"]), (StatusCode::OK, &serde_json::json!(true)), "{answer}");
            self.shared.tell(&self.tenant, &job, |told| told.deleted = true);
            let (status, answer) = self.insist("GET", &path, &[], "").await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
            let (status, again) = self.insist("GET", &format!("{path}/receipt"), &[], "").await;
            assert_eq!((status, &again["id"]), (StatusCode::OK, &serde_json::json!(job)), "{again}");
        }
    }
}
