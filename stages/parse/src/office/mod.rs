//! Office formats: spreadsheets, presentations, OpenDocument, RTF, and what Office wrote before 2007. One kind a format,
//! one folder or file a family; what they share (the bounded text, tables, parts of a package, XML) lies beside them.
//! Which kind a document is, is decided outside, by its bytes. All of this runs in a child process.

mod grid;
mod legacy;
mod odf;
mod out;
mod parts;
mod rtf;
mod sheets;
mod slides;
mod xml;

use docmill_api::StepContext;

pub(crate) use legacy::ole_kind;
pub(crate) use parts::Parts;
pub(crate) use xml::{Token, Xml, attribute};

use crate::reader::{Input, Parsed, ReadError, Reader};

/// An office format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Spreadsheets of Office since 2007, as XML.
    Xlsx,
    /// The same in binary parts.
    Xlsb,
    /// Spreadsheets of Office before 2007.
    Xls,
    /// Presentations of Office since 2007.
    Pptx,
    /// Presentations of Office before 2007.
    Ppt,
    /// Word documents of before 2007.
    Doc,
    /// OpenDocument text.
    Odt,
    /// OpenDocument spreadsheets.
    Ods,
    /// OpenDocument presentations.
    Odp,
    /// OpenDocument of any sort in one XML file.
    FlatOdf,
    /// Rich text.
    Rtf,
}

/// Each kind with its media type, the other media types it goes by, and its file extensions.
const KINDS: [(Kind, &[&str], &[&str]); 11] = [
    (
        Kind::Xlsx,
        &[
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
            "application/vnd.ms-excel.sheet.macroenabled.12",
            "application/vnd.ms-excel.template.macroenabled.12",
        ],
        &["xlsx", "xlsm", "xltx", "xltm"],
    ),
    (Kind::Xlsb, &["application/vnd.ms-excel.sheet.binary.macroenabled.12"], &["xlsb"]),
    (Kind::Xls, &["application/vnd.ms-excel"], &["xls", "xlt"]),
    (
        Kind::Pptx,
        &[
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
            "application/vnd.openxmlformats-officedocument.presentationml.template",
            "application/vnd.ms-powerpoint.presentation.macroenabled.12",
            "application/vnd.ms-powerpoint.slideshow.macroenabled.12",
        ],
        &["pptx", "pptm", "ppsx", "ppsm", "potx", "potm"],
    ),
    (Kind::Ppt, &["application/vnd.ms-powerpoint"], &["ppt", "pps", "pot"]),
    (Kind::Doc, &["application/msword"], &["doc", "dot"]),
    (
        Kind::Odt,
        &[
            "application/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.text-template",
            "application/vnd.oasis.opendocument.text-master",
        ],
        &["odt", "ott", "odm"],
    ),
    (
        Kind::Ods,
        &["application/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.spreadsheet-template"],
        &["ods", "ots"],
    ),
    (
        Kind::Odp,
        &[
            "application/vnd.oasis.opendocument.presentation",
            "application/vnd.oasis.opendocument.presentation-template",
        ],
        &["odp", "otp"],
    ),
    (
        Kind::FlatOdf,
        &[
            "application/vnd.oasis.opendocument.text-flat-xml",
            "application/vnd.oasis.opendocument.spreadsheet-flat-xml",
            "application/vnd.oasis.opendocument.presentation-flat-xml",
        ],
        &["fodt", "fods", "fodp"],
    ),
    (Kind::Rtf, &["application/rtf", "text/rtf", "application/x-rtf"], &["rtf"]),
];

impl Kind {
    /// What a media type means, in lower case and without parameters.
    pub(crate) fn by_media_type(media_type: &str) -> Option<Self> {
        KINDS.iter().find(|(_, types, _)| types.contains(&media_type)).map(|(kind, ..)| *kind)
    }

    /// What a file extension means, in lower case.
    pub(crate) fn by_extension(extension: &str) -> Option<Self> {
        KINDS.iter().find(|(.., extensions)| extensions.contains(&extension)).map(|(kind, ..)| *kind)
    }

    /// The media type that is stored where nobody told one.
    pub(crate) fn media_type(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("application/octet-stream", |(_, types, _)| types[0])
    }

    /// Its usual extension, which is what people call it.
    pub(crate) fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("office", |(.., extensions)| extensions[0])
    }

    /// Whether it is a zip archive.
    pub(crate) fn is_zip(self) -> bool {
        matches!(self, Self::Xlsx | Self::Xlsb | Self::Pptx | Self::Odt | Self::Ods | Self::Odp)
    }
}

/// Reads one of the office formats.
#[derive(Debug)]
pub(crate) struct OfficeReader {
    /// Which.
    pub(crate) kind: Kind,
}

impl Reader for OfficeReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        match self.kind {
            Kind::Xlsx | Kind::Xlsb | Kind::Xls => sheets::read(self.kind, input, cx),
            Kind::Pptx => slides::read(input, cx),
            Kind::Ppt | Kind::Doc => legacy::read(self.kind, input, cx),
            Kind::Odt | Kind::Ods | Kind::Odp => odf::read_package(self.kind, input, cx),
            Kind::FlatOdf => odf::read_flat(input, cx),
            Kind::Rtf => rtf::read(input, cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_known_by_its_own_type_and_name() {
        for (kind, ..) in KINDS {
            assert_eq!(Kind::by_media_type(kind.media_type()), Some(kind));
            assert_eq!(Kind::by_extension(kind.name()), Some(kind));
        }
        assert_eq!(Kind::by_extension("docx"), None);
    }
}
