//! What the greatest answers take.

use super::*;
use crate::model::{InputMetrics, MapMetrics, Metrics, TestMetrics};
use crate::run::{JobState, JobView, Moved};
use crate::transfer::{Beside, Descent, Trial};

/// A number that takes as many digits as any.
const SCORE: f64 = 0.001_234_567_890_123_456_7;

fn metrics() -> Metrics {
    let input = InputMetrics {
        mse: SCORE,
        psnr: Some(SCORE),
        ssim: Some(SCORE),
    };
    Metrics {
        val_mse: SCORE,
        val_mae: SCORE,
        mean_mse: SCORE,
        linear_mse: SCORE,
        chips_train: 10_000,
        chips_val: 1_000,
        epochs_best: 100,
        epochs: 200,
        val_r2: Some(SCORE),
        map: Some(MapMetrics {
            val_psnr: Some(SCORE),
            val_ssim: Some(SCORE),
            val_ms_ssim: Some(SCORE),
            ms_ssim_scales: 5,
        }),
        input: Some(input),
        test: Some(TestMetrics {
            chips: 1_000,
            mse: SCORE,
            mae: SCORE,
            mean_mse: SCORE,
            linear_mse: SCORE,
            r2: Some(SCORE),
            psnr: Some(SCORE),
            ssim: Some(SCORE),
            input: Some(input),
        }),
    }
}

/// A job of which all is told.
fn job() -> JobView {
    let node = "12D3KooWSmallNameOfANodeThatHasFiftyTwoCharactersInAll";
    JobView {
        run: "regional-models".to_owned(),
        geocode: "9xj5k".to_owned(),
        node: node.to_owned(),
        moved: Some(Moved {
            to: node.to_owned(),
            bytes: 10_000_000,
        }),
        state: JobState::Quarantined,
        splits: 100,
        attempts: 3,
        reason: Some("started cold: the donor's model has another shape".to_owned()),
        metrics: Some(metrics()),
        seconds: Some(SCORE),
        donor: Some("9xj5m".to_owned()),
        no_donor: Some("donor 9xj5m has no model: too few chips of 32 pixels".to_owned()),
        descent: Some(Descent {
            donor: "9xj5m".to_owned(),
            warm: false,
            reason: Some("the donor's model has another shape".to_owned()),
            weights_blake3: Some("0".repeat(64)),
            bytes: 10_000_000,
            told: true,
            trial: Some(Trial {
                epochs: 3,
                warm_mse: Some(SCORE),
                cold_mse: Some(SCORE),
            }),
            beside: Some(Beside {
                parent_mse: SCORE,
                own_mse: SCORE,
                places: 1_000,
                p: SCORE,
            }),
        }),
    }
}

#[test]
fn a_run_of_the_largest_map_with_all_that_is_told_of_its_jobs_is_read() {
    let bytes = serde_json::to_vec(&job()).unwrap().len();
    assert!(bytes * 444_000 < RUN_BYTES_MAX, "{bytes} bytes a job");
}
