//! Real products: Sentinel-2 over Ireland, three NAIP dates of one place, a clouded date.

use serde_json::Value;

use crate::harness::{expect, glebe, ndjson, real_data, scratch, stdout};

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn sentinel2_over_ireland_has_the_cloud_and_no_data_that_its_metadata_says() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let safe = "S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE";
    let args = [
        "ingest",
        "--scheme",
        "geohash",
        "--precision",
        "5",
        "-o",
        "json",
    ];
    let output = expect(
        glebe(folder)
            .args(args)
            .arg(real.join("s2_safe").join(safe)),
        0,
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ledger = &report["scenes"][0];
    let missing = ledger["missing_bands"].as_array().unwrap();
    assert!(
        missing.iter().any(|b| b == "B08"),
        "B08 is not delivered: {missing:?}"
    );

    let hits = ndjson(&expect(glebe(folder).args(["search", "-o", "ndjson"]), 0));
    assert_eq!(hits.len() as u64, ledger["splits"].as_u64().unwrap());
    let judged = hits.iter().filter(|h| !h["cloud_cover"].is_null());
    let (mut cloudy, mut valid) = (0.0, 0.0);
    for hit in judged {
        cloudy += number(&hit["cloud_cover"]) * number(&hit["pixels_valid"]);
        valid += number(&hit["pixels_valid"]);
    }
    let cloud = cloudy / valid;
    assert!(
        (cloud - 59.77).abs() < 1.0,
        "cloud cover {cloud:.2} %, the product says 59.77 %"
    );

    let counts = &ledger["counts"];
    let no_data = (1.0 - number(&counts["valid"]) / number(&counts["in_footprint"])) * 100.0;
    assert!(
        (no_data - 40.42).abs() < 1.0,
        "no data {no_data:.2} %, the product says 40.42 %"
    );
}

#[test]
fn datetime_picks_one_of_three_naip_dates() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let mut ingest = glebe(folder);
    ingest.args(["ingest", "--dataset", "naip", "--precision", "6"]);
    for date in ["20090818", "20120731", "20150926"] {
        ingest.arg(real.join(format!("naip/m_4709963_se_14_1_{date}.tif")));
    }
    expect(&mut ingest, 0);
    let all = ndjson(&expect(glebe(folder).args(["search", "-o", "ndjson"]), 0));
    let one = ["search", "--datetime", "2012-07", "-o", "ndjson"];
    let one = ndjson(&expect(glebe(folder).args(one), 0));
    assert!(!one.is_empty() && one.len() < all.len());
    assert!(
        one.iter()
            .all(|h| h["acquired"].as_str().unwrap().starts_with("2012-07-31"))
    );
    let bands: Vec<_> = one[0]["bands"].as_array().unwrap().iter().collect();
    assert_eq!(bands[3]["common"], "nir", "NAIP's band 4 is near infrared");
}

#[test]
fn cloud_limits_find_and_leave_out_the_clouded_date() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let tiffs = real.join("s2_timeseries_slovenia/geotiff");
    for (day, time) in [
        ("20150711T100008", "2015-07-11T10:00:08Z"),
        ("20150731T100009", "2015-07-31T10:00:09Z"),
    ] {
        let mut ingest = glebe(folder);
        ingest.args([
            "ingest",
            "--dataset",
            "sentinel-2-l1c",
            "--datetime",
            time,
            "--cloud-mask",
        ]);
        ingest.arg(tiffs.join(format!("CLM_{day}.tif")));
        ingest.arg(tiffs.join(format!("S2_L1C_{day}.tif")));
        expect(&mut ingest, 0);
    }
    let scenes = |flag, value| {
        let args = ["search", flag, value, "-o", "csv"];
        stdout(&expect(glebe(folder).args(args), 0))
    };
    let cloudy = scenes("--min-cloud", "90");
    assert!(
        cloudy.contains("20150731") && !cloudy.contains("20150711"),
        "{cloudy}"
    );
    let clear = scenes("--max-cloud", "10");
    assert!(
        clear.contains("20150711") && !clear.contains("20150731"),
        "{clear}"
    );
}
