//! Cubes of dates, and composed images, written as NumPy, Zarr and HDF5 and read elsewhere.

use std::path::Path;

use serde_json::Value;

use crate::harness::{expect, glebe, ndjson, real_data, scratch};
use crate::outputs::{judge, near};
use crate::wrangle;

/// Both dates of one square kilometre, the second one clouded; returns its fullest cell.
fn slovenia(folder: &Path, real: &Path) -> String {
    wrangle::slovenia(folder, real);
    let search = [
        "search",
        "--sort",
        "-coverage",
        "--limit",
        "1",
        "-o",
        "ndjson",
    ];
    let hits = ndjson(&expect(glebe(folder).args(search), 0));
    hits[0]["geocode"].as_str().unwrap().to_owned()
}

/// Checks that Zarr and HDF5 hold what npz holds; returns what that is.
fn alike(folder: &Path, verb: &[&str], stem: &str) -> Value {
    let write = |extension: &str| {
        let out = format!("{stem}-{extension}.{extension}");
        expect(glebe(folder).args(verb).args(["-O", &out]), 0);
        judge(&folder.join(out))
    };
    let (npz, zarr, h5) = (write("npz"), write("zarr"), write("h5"));
    assert_eq!(zarr["stored"], npz["data"], "{stem}");
    assert_eq!(zarr["times"], npz["times"], "{stem}");
    assert_eq!(zarr["bands"], npz["bands"], "{stem}");
    assert!(
        near(&zarr["physical"]["valid"], &npz["mask"]["sum"]),
        "{stem}"
    );
    let keys: Vec<&str> = { h5["keys"].as_array().unwrap().iter() }
        .map(|k| k.as_str().unwrap())
        .collect();
    let data = keys.iter().find(|k| k.starts_with("data_")).unwrap();
    assert_eq!(h5[*data]["data"], npz["data"], "{stem}: {keys:?}");
    assert_eq!(h5[*data]["attributes"]["bands"], npz["bands"], "{stem}");
    npz
}

#[test]
fn cubes_of_irregular_and_regular_time_are_read_alike_by_numpy_xarray_and_h5py() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let cell = slovenia(folder, &real);
    let words = [
        "get",
        "--geocode",
        &cell,
        "--exact",
        "--cube",
        "--bands",
        "red,nir,swir16",
    ];

    let dates = alike(folder, &words, "dates");
    let shape = dates["data"]["shape"].as_array().unwrap().clone();
    assert_eq!((&shape[0], &shape[1]), (&2.into(), &3.into()));
    assert_eq!(dates["mask"]["shape"], dates["data"]["shape"]);
    assert_eq!(dates["times"][1], "2015-07-31T10:00:09.000000");

    // Steps of ten days from the first date on; the middle one is there, and all void.
    let steps = alike(folder, &[&words[..], &["--every", "10d"]].concat(), "steps");
    assert_eq!(steps["data"]["shape"][0], 3);
    let times: Vec<&str> = { steps["times"].as_array().unwrap().iter() }
        .map(|t| &t.as_str().unwrap()[..10])
        .collect();
    assert_eq!(times, ["2015-07-11", "2015-07-21", "2015-07-31"]);
    assert_eq!(
        steps["mask"]["sum"], dates["mask"]["sum"],
        "no pixel is lost or made"
    );
    assert_eq!(steps["masked"]["sum"], dates["masked"]["sum"]);
    assert_eq!(steps["scenes"][1], "");

    // One step over both dates: the median of two is their mean, of one date the date.
    let month = ["--every", "1mo", "--step-rule"];
    let one = |rule: &str| {
        let args = [&words[..], &month, &[rule]].concat();
        alike(folder, &args, rule)
    };
    let (median, clear) = (one("median"), one("least-cloud"));
    assert_eq!(
        (&median["data"]["shape"][0], &clear["data"]["shape"][0]),
        (&1.into(), &1.into())
    );
    let sum = |said: &Value| said["masked"]["sum"].as_f64().unwrap();
    let both = sum(&dates);
    assert!(
        (2.0 * sum(&median) / both - 1.0).abs() < 1e-3,
        "{} of {both}",
        sum(&median)
    );
    assert!(sum(&clear) < sum(&median), "clouds are brighter than land");
    let scenes = clear["scenes"][0].as_str().unwrap();
    assert!(
        scenes.contains("20150711"),
        "the clear date stands first: {scenes}"
    );
}

#[test]
fn a_composed_image_is_read_alike_by_numpy_xarray_and_h5py() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let cell = slovenia(folder, &real);
    let words = [
        "compose",
        "--geocode",
        &cell,
        "--exact",
        "--min-coverage",
        "0",
    ];
    let limits = ["--bands", "red,nir", "--rule"];
    let rule = |rule: &str| alike(folder, &[&words[..], &limits, &[rule]].concat(), rule);
    let (newest, clear) = (rule("newest"), rule("least-cloud"));
    assert_eq!(newest["data"]["shape"][0], 1);
    let sum = |said: &Value| said["masked"]["sum"].as_f64().unwrap();
    assert!(sum(&clear) < sum(&newest), "the newest date is clouded");
    assert!(clear["mask"]["sum"].as_f64().unwrap() > 0.0);
}
