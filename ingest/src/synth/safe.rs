//! A painted scene as a Sentinel-2 product folder of level 1C or 2A.
//!
//! *Invariants*: names and layout are those of ESA's SAFE format, and every metadata file says
//! SYNTHETIC; the same scene gives the same bytes.
//!
//! Layout: ESA, Sentinel-2 Products Specification Document 14.9, §4.
//!
//! *Not here*: pixels (`paint`).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rayon::prelude::*;

use super::jp2::{self, Place};
use super::paint::{self, BandLaw, Painting};
use super::world::{Baseline, Level, Region, Shot};

/// Value of the truth mask where nothing was seen.
pub const TRUTH_FILL: u8 = 255;

/// Everything that a product's files are made from.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    /// Its region.
    pub region: &'a Region,
    /// Its scene.
    pub shot: &'a Shot,
    /// Its pixels.
    pub painting: &'a Painting,
    /// Baseline to write in.
    pub baseline: Baseline,
    /// Level to write in.
    pub level: Level,
    /// Pixels of 10 m a side.
    pub size: u32,
}

/// What was written, as far as the world's list tells it.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Share of valid pixels at 20 m that are cloudy.
    pub cloud: f64,
    /// Share of pixels at 20 m that are no-data.
    pub nodata: f64,
}

impl Product<'_> {
    /// Writes the product folder below `out` and its truth mask below `out/TRUTH`.
    pub fn write(&self, out: &Path) -> anyhow::Result<Written> {
        let root = out.join(format!("{}.SAFE", self.shot.product));
        let granule = root.join("GRANULE").join(self.granule());
        for image in self.images() {
            let folder = root.join(image).parent().map(Path::to_owned);
            folder.map_or(Ok(()), fs::create_dir_all)?;
        }
        let offset = self.baseline.offset();
        let bands: Vec<&BandLaw> = paint::bands(self.level).collect();
        bands.into_par_iter().try_for_each(|band| {
            let path = root.join(format!("{}.jp2", self.image(*band)));
            jp2::write(
                &path,
                self.place(band.step),
                self.painting.band(*band, offset),
            )
        })?;
        let classes = self.painting.classes();
        let truth: Vec<u8> = classes.iter().map(|c| truth(*c)).collect();
        let written = written(&truth);
        let place = self.place(2);
        if let Some((classes_file, probability)) = self.judged() {
            fs::create_dir_all(granule.join("QI_DATA"))?;
            jp2::write(&root.join(format!("{classes_file}.jp2")), place, classes)?;
            let percent = self.painting.cloud_probability();
            jp2::write(&root.join(probability), place, percent)?;
        }
        fs::write(root.join(self.metadata()), self.product_xml(written))?;
        fs::write(granule.join("MTD_TL.xml"), self.tile_xml())?;
        fs::write(root.join("manifest.safe"), self.manifest(&root)?)?;
        let mask = out
            .join("TRUTH")
            .join(format!("{}_cloud.tif", self.shot.product));
        jp2::write_tiff(&mask, place, truth, TRUTH_FILL)?;
        Ok(written)
    }

    fn metadata(&self) -> String {
        format!("MTD_MSIL{}.xml", self.level.text())
    }

    /// Returns the names of scene classes (without `.jp2`) and cloud probability, where there are
    /// any: level 1C is delivered without.
    fn judged(&self) -> Option<(String, String)> {
        let probability = format!("GRANULE/{}/QI_DATA/MSK_CLDPRB_20m.jp2", self.granule());
        let classes = self.image_name("R20m/", "SCL_20m");
        (self.level == Level::L2A).then_some((classes, probability))
    }

    /// Returns the names of all images that the metadata lists, without `.jp2`.
    fn images(&self) -> Vec<String> {
        let bands = paint::bands(self.level).map(|b| self.image(*b));
        bands
            .chain(self.judged().map(|(classes, _)| classes))
            .collect()
    }

    fn granule(&self) -> String {
        let (level, orbit) = (self.level.text(), 30_000 + self.shot.seed % 10_000);
        format!(
            "L{level}_T{}_A{orbit:06}_{}",
            self.region.tile,
            self.sensed()
        )
    }

    /// Start of sensing as names carry it.
    fn sensed(&self) -> String {
        self.shot.acquired.strftime("%Y%m%dT%H%M%S").to_string()
    }

    fn place(&self, step: usize) -> Place {
        Place {
            epsg: self.region.epsg,
            west: f64::from(self.region.west),
            north: f64::from(self.region.north),
            pixel: step as f64 * 10.0,
        }
    }

    /// Returns the name of a band's image, relative to the product, without `.jp2`.
    fn image(&self, band: BandLaw) -> String {
        let metres = band.step * 10;
        match self.level {
            Level::L1C => self.image_name("", band.name),
            Level::L2A => {
                self.image_name(&format!("R{metres}m/"), &format!("{}_{metres}m", band.name))
            }
        }
    }

    /// Returns the name of an image in a folder, which ends with `/` if there is one.
    fn image_name(&self, folder: &str, what: &str) -> String {
        let (tile, sensed) = (&self.region.tile, self.sensed());
        format!(
            "GRANULE/{}/IMG_DATA/{folder}T{tile}_{sensed}_{what}",
            self.granule()
        )
    }

    fn product_xml(&self, written: Written) -> String {
        let mut images = String::new();
        for image in self.images() {
            line(&mut images, &format!("<IMAGE_FILE>{image}</IMAGE_FILE>"));
        }
        self.at_level(PRODUCT_XML)
            .replace(
                "{start}",
                &self
                    .shot
                    .acquired
                    .strftime("%Y-%m-%dT%H:%M:%S.000Z")
                    .to_string(),
            )
            .replace("{product}", &self.shot.product)
            .replace("{baseline}", self.baseline.text())
            .replace("{images}", &images)
            .replace("{offsets}", &self.offsets())
            .replace("{cloud}", &format!("{:.6}", written.cloud * 100.0))
            .replace("{nodata}", &format!("{:.6}", written.nodata * 100.0))
    }

    /// Baselines before 04.00 have no list of offsets.
    fn offsets(&self) -> String {
        if self.baseline.offset() == 0 {
            return String::new();
        }
        let (list, element) = match self.level {
            Level::L1C => ("Radiometric_Offset_List", "RADIO_ADD_OFFSET"),
            Level::L2A => ("BOA_ADD_OFFSET_VALUES_LIST", "BOA_ADD_OFFSET"),
        };
        let mut text = String::new();
        line(&mut text, &format!("<{list}>"));
        for band in 0..13 {
            let offset = self.baseline.offset();
            line(
                &mut text,
                &format!("<{element} band_id=\"{band}\">{offset}</{element}>"),
            );
        }
        line(&mut text, &format!("</{list}>"));
        text
    }

    /// Returns a text of level 2A as the product's own level has it.
    fn at_level(&self, text: &str) -> String {
        match self.level {
            Level::L1C => text
                .replace("BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE")
                .replace("2A", "1C")
                .replace("l2a", "l1c")
                .replace(PROBABILITY_XML, ""),
            Level::L2A => text.to_owned(),
        }
    }

    fn tile_xml(&self) -> String {
        let mut sizes = String::new();
        for metres in [10, 20, 60] {
            let side = self.size * 10 / metres;
            let (west, north) = (self.region.west, self.region.north);
            line(
                &mut sizes,
                &format!(
                    "<Size resolution=\"{metres}\"><NROWS>{side}</NROWS><NCOLS>{side}</NCOLS></Size>"
                ),
            );
            line(
                &mut sizes,
                &format!(
                    "<Geoposition resolution=\"{metres}\"><ULX>{west}</ULX><ULY>{north}</ULY><XDIM>{metres}</XDIM><YDIM>-{metres}</YDIM></Geoposition>"
                ),
            );
        }
        self.at_level(TILE_XML)
            .replace(
                "{start}",
                &self
                    .shot
                    .acquired
                    .strftime("%Y-%m-%dT%H:%M:%S.000Z")
                    .to_string(),
            )
            .replace("{tile}", &self.region.tile)
            .replace("{epsg}", &self.region.epsg.to_string())
            .replace("{sizes}", &sizes)
            .replace("{granule}", &self.granule())
    }

    fn manifest(&self, root: &Path) -> anyhow::Result<String> {
        let mut objects = String::new();
        let folder = format!("./GRANULE/{}", self.granule());
        let mut names = vec![
            format!("./{}", self.metadata()),
            format!("{folder}/MTD_TL.xml"),
        ];
        names.extend(self.images().iter().map(|image| format!("./{image}.jp2")));
        names.extend(
            self.judged()
                .map(|(_, probability)| format!("./{probability}")),
        );
        for (i, name) in names.iter().enumerate() {
            let size = fs::metadata(root.join(name))?.len();
            line(
                &mut objects,
                &format!(
                    "<dataObject ID=\"object{i}\"><byteStream size=\"{size}\"><fileLocation href=\"{name}\" locatorType=\"URL\"/></byteStream></dataObject>"
                ),
            );
        }
        Ok(self
            .at_level(MANIFEST)
            .replace("{product}", &self.shot.product)
            .replace("{objects}", &objects))
    }
}

/// What the tile's metadata says of a mask that level 1C has not.
const PROBABILITY_XML: &str = "      <MASK_FILENAME type=\"MSK_CLDPRB\">\
    GRANULE/{granule}/QI_DATA/MSK_CLDPRB_20m.jp2</MASK_FILENAME>\n";

/// Appends a line of XML.
fn line(text: &mut String, more: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "      {more}").unwrap_or(());
}

/// Truth at 20 m: cloud 1, clear 0.
fn truth(class: u8) -> u8 {
    match class {
        0 => TRUTH_FILL,
        8..=10 => 1,
        _ => 0,
    }
}

fn written(truth: &[u8]) -> Written {
    let (mut cloudy, mut unseen) = (0_u32, 0_u32);
    for value in truth {
        cloudy += u32::from(*value == 1);
        unseen += u32::from(*value == TRUTH_FILL);
    }
    let (cloudy, unseen, all) = (f64::from(cloudy), f64::from(unseen), truth.len() as f64);
    Written {
        cloud: cloudy / (all - unseen).max(1.0),
        nodata: unseen / all,
    }
}

const PRODUCT_XML: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!-- SYNTHETIC: made by glebe synth. No satellite has seen this. -->
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{start}</PRODUCT_START_TIME>
      <PRODUCT_STOP_TIME>{start}</PRODUCT_STOP_TIME>
      <PRODUCT_URI>{product}.SAFE</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-2A</PROCESSING_LEVEL>
      <PRODUCT_TYPE>S2MSI2A</PRODUCT_TYPE>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
      <PRODUCT_DOI>SYNTHETIC</PRODUCT_DOI>
      <GENERATION_TIME>{start}</GENERATION_TIME>
      <Datatake datatakeIdentifier="SYNTHETIC">
        <SPACECRAFT_NAME>SYNTHETIC</SPACECRAFT_NAME>
        <DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE>
        <DATATAKE_SENSING_START>{start}</DATATAKE_SENSING_START>
      </Datatake>
      <Product_Organisation><Granule_List><Granule imageFormat="JPEG2000">
{images}      </Granule></Granule_List></Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
      <QUANTIFICATION_VALUES_LIST>
        <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
      </QUANTIFICATION_VALUES_LIST>
{offsets}    </Product_Image_Characteristics>
  </n1:General_Info>
  <n1:Quality_Indicators_Info>
    <Cloud_Coverage_Assessment>{cloud}</Cloud_Coverage_Assessment>
    <Image_Content_QI><NODATA_PIXEL_PERCENTAGE>{nodata}</NODATA_PIXEL_PERCENTAGE></Image_Content_QI>
  </n1:Quality_Indicators_Info>
</n1:Level-2A_User_Product>
"#;

const TILE_XML: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!-- SYNTHETIC: made by glebe synth. No satellite has seen this. -->
<n1:Level-2A_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Tile_Metadata.xsd">
  <n1:General_Info>
    <TILE_ID metadataLevel="Brief">SYNTHETIC_T{tile}</TILE_ID>
    <SENSING_TIME metadataLevel="Standard">{start}</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Geocoding metadataLevel="Brief">
      <HORIZONTAL_CS_CODE>EPSG:{epsg}</HORIZONTAL_CS_CODE>
{sizes}    </Tile_Geocoding>
  </n1:Geometric_Info>
  <n1:Quality_Indicators_Info>
    <Pixel_Level_QI>
      <MASK_FILENAME type="MSK_CLDPRB">GRANULE/{granule}/QI_DATA/MSK_CLDPRB_20m.jp2</MASK_FILENAME>
    </Pixel_Level_QI>
  </n1:Quality_Indicators_Info>
</n1:Level-2A_Tile_ID>
"#;

const MANIFEST: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!-- SYNTHETIC: made by glebe synth. No satellite has seen this. -->
<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1" version="esa/safe/sentinel/1.1/sentinel-2/msi/archive_l2a_user_product">
  <informationPackageMap>
    <xfdu:contentUnit textInfo="SYNTHETIC {product}" unitType="Product_Level-2A"/>
  </informationPackageMap>
  <dataObjectSection>
{objects}  </dataObjectSection>
</xfdu:XFDU>
"#;
