//! Which problems the kinds of requests can meet, for the description of the API.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// What any request can meet.
const ALWAYS: &[(&str, &str)] = &[
    ("401", "The server asks for a key"),
    ("403", "A page of another site asks"),
    ("421", "The server is not called so"),
    ("503", "Too busy, or too slow"),
];

/// What a request with a JSON body can meet.
const OF_JSON: &[(&str, &str)] = &[
    ("400", "Not JSON"),
    ("408", "The body came too slowly"),
    ("413", "Too large"),
    ("415", "Not application/json"),
    ("422", "Values that cannot be"),
];

macro_rules! problems {
    ($($(#[$about:meta])* $name:ident = $lists:expr;)*) => {
        $(
            $(#[$about])*
            pub(super) struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    let lists: &[&[(&str, &str)]] = &$lists;
                    lists.iter().copied().flatten().map(|(status, text)| response(status, text)).collect()
                }
            }
        )*
    };
}

problems! {
    /// Of a request without a body that names nothing.
    Plain = [ALWAYS];
    /// Of one with parameters.
    WithParameters = [ALWAYS, &[("422", "Values that cannot be")]];
    /// Of one that names an image or a job.
    OfOne = [ALWAYS, &[("404", "There is none with this number")]];
    /// Of one that reads the file of an image.
    OfFile = [ALWAYS, &[
        ("404", "There is no image with this number"),
        ("410", "Its file is not there now"),
        ("422", "Values that cannot be, or a file that is no image any more"),
    ]];
    /// Of one with a JSON body.
    WithJson = [ALWAYS, OF_JSON];
    /// Of one with a JSON body that asks for what may not be known yet.
    Asking = [ALWAYS, OF_JSON, &[("409", "That is not known yet")]];
    /// Of one with parameters that asks for what may not have been learned yet.
    Learned = [ALWAYS, &[
        ("409", "Nothing has been learned yet"),
        ("422", "Values that cannot be"),
    ]];
    /// Of one with a JSON body that names images.
    Naming = [ALWAYS, OF_JSON, &[("404", "There is no image with this number")]];
    /// Of a search.
    Searching = [ALWAYS, OF_JSON, &[
        ("404", "There is no such image or object"),
        ("409", "That is not known yet"),
        ("410", "The file of the image is not there now"),
    ]];
}

fn response(status: &str, text: &str) -> (String, RefOr<Response>) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response =
        ResponseBuilder::new().description(text).content("application/problem+json", content);
    (status.to_owned(), response.build().into())
}
