use super::*;
use crate::table::tests::some_results;

#[test]
fn the_plot_has_a_panel_a_line_and_a_legend_for_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = svg(&some_results(folder.path()));
    assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
    assert_eq!(text.matches("<g ").count(), 1);
    assert_eq!(text.matches("<polyline").count(), 4, "one for each method");
    assert_eq!(text.matches("<circle").count(), 3, "one for each mean of a perturbed cell");
    assert!(text.contains("plays, k-RR") && text.contains(Method::Naive.label()));
    assert!(!text.contains("NaN") && !text.contains("inf"));
    assert_eq!(text.matches("<g ").count(), text.matches("</g>").count());
}

#[test]
fn lower_perplexity_is_drawn_lower_and_ticks_lie_on_the_axis() {
    let scale = Scale::new(&[4.0, 12.0], [30.0, 300.0].into_iter());
    assert!(scale.y(30.0) > scale.y(31.0) && scale.x(4.0) < scale.x(5.0));
    assert_eq!(scale.ticks(), [50.0, 100.0, 200.0]);
    let (top, bottom) = (MARGIN.1, PANEL.1 - MARGIN.3);
    assert!(scale.ticks().iter().all(|tick| (top..bottom).contains(&scale.y(*tick))));
    let alone = Scale::new(&[8.0], [30.0].into_iter());
    assert!(alone.x(8.0).is_finite() && alone.y(30.0).is_finite());
}

#[test]
fn nothing_gives_an_empty_plot() {
    let folder = tempfile::tempdir().unwrap();
    let text = svg(&Results::open(&folder.path().join("none.jsonl")).unwrap());
    assert!(text.ends_with("</svg>\n") && !text.contains("<g "));
}
