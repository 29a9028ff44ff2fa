//! `/healthz` and `/metrics` of `serve`, at an address of their own: whether it serves, and what it
//! has served, in the text format of Prometheus.

use crate::serve::listeners::Acceptor;
use http::{Response, StatusCode};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the classes of times, in microseconds.
const CLASSES: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000,
];

/// What has been served.
#[derive(Default)]
pub(super) struct Metrics {
    in_flight: AtomicU64,
    /// By the first digit of the status.
    answers: [AtomicU64; 6],
    /// Answers by time, each in the first class that it fits in.
    times: [AtomicU64; CLASSES.len() + 1],
    microseconds: AtomicU64,
    /// Of the component: done, and failed.
    reloads: [AtomicU64; 2],
}

impl Metrics {
    /// A request has begun.
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// It has its response.
    pub(super) fn end(&self, status: StatusCode, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = CLASSES.iter().position(|end| took <= *end);
        let add = |counter: &AtomicU64, by| counter.fetch_add(by, Ordering::Relaxed);
        add(&self.times[class.unwrap_or(CLASSES.len())], 1);
        add(&self.microseconds, took);
        add(&self.answers[usize::from(status.as_u16() / 100).min(5)], 1);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Another component is served.
    pub(super) fn reloaded(&self) {
        self.reloads[0].fetch_add(1, Ordering::Relaxed);
    }

    /// Another component was to be served, and cannot be.
    pub(super) fn not_reloaded(&self) {
        self.reloads[1].fetch_add(1, Ordering::Relaxed);
    }

    fn text(&self) -> String {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut text = String::new();
        // Writing to a string does not fail.
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "{line}");
        };
        line(format_args!("# TYPE trampette_requests_in_flight gauge"));
        line(format_args!(
            "trampette_requests_in_flight {}",
            load(&self.in_flight)
        ));
        line(format_args!("# TYPE trampette_requests_total counter"));
        for (digit, answers) in self.answers.iter().enumerate().skip(1) {
            let answers = load(answers);
            line(format_args!(
                "trampette_requests_total{{status=\"{digit}xx\"}} {answers}"
            ));
        }
        line(format_args!("# TYPE trampette_reloads_total counter"));
        for (result, reloads) in ["done", "failed"].iter().zip(&self.reloads) {
            let reloads = load(reloads);
            line(format_args!(
                "trampette_reloads_total{{result=\"{result}\"}} {reloads}"
            ));
        }
        let name = "trampette_request_duration_seconds";
        line(format_args!("# TYPE {name} histogram"));
        let mut sum = 0;
        for (class, count) in self.times.iter().enumerate() {
            sum += load(count);
            match CLASSES.get(class) {
                Some(end) => {
                    let end = *end as f64 / 1e6;
                    line(format_args!("{name}_bucket{{le=\"{end}\"}} {sum}"));
                }
                None => line(format_args!("{name}_bucket{{le=\"+Inf\"}} {sum}")),
            }
        }
        let seconds = load(&self.microseconds) as f64 / 1e6;
        line(format_args!("{name}_sum {seconds}"));
        line(format_args!("{name}_count {sum}"));
        text
    }
}

/// Answers until it is stopped.
pub(super) async fn serve(
    listener: Acceptor,
    metrics: Arc<Metrics>,
    is_ending: impl Fn() -> bool + Clone + Send + Sync + 'static,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (metrics, is_ending) = (metrics.clone(), is_ending.clone());
        let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (status, text) = match request.uri().path() {
                "/metrics" => (StatusCode::OK, metrics.text()),
                "/healthz" if is_ending() => {
                    (StatusCode::SERVICE_UNAVAILABLE, "ending\n".to_string())
                }
                "/healthz" => (StatusCode::OK, "ok\n".to_string()),
                _ => (StatusCode::NOT_FOUND, "not found\n".to_string()),
            };
            let mut response = Response::new(http_body_util::Full::new(Bytes::from(text)));
            *response.status_mut() = status;
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(10));
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_classes() {
        let metrics = Metrics::default();
        for (status, microseconds) in [(200, 50), (204, 100), (404, 101), (500, 20_000_000)] {
            metrics.begin();
            let status = StatusCode::from_u16(status).unwrap();
            metrics.end(status, Duration::from_micros(microseconds));
        }
        metrics.begin();
        metrics.reloaded();
        let text = metrics.text();
        for line in [
            "trampette_reloads_total{result=\"done\"} 1",
            "trampette_reloads_total{result=\"failed\"} 0",
            "trampette_requests_in_flight 1",
            "trampette_requests_total{status=\"2xx\"} 2",
            "trampette_requests_total{status=\"4xx\"} 1",
            "trampette_requests_total{status=\"5xx\"} 1",
            "trampette_request_duration_seconds_bucket{le=\"0.0001\"} 2",
            "trampette_request_duration_seconds_bucket{le=\"0.00025\"} 3",
            "trampette_request_duration_seconds_bucket{le=\"10\"} 3",
            "trampette_request_duration_seconds_bucket{le=\"+Inf\"} 4",
            "trampette_request_duration_seconds_sum 20.000251",
            "trampette_request_duration_seconds_count 4",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
    }
}
