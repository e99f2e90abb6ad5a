use super::*;

#[test]
fn every_available_set_is_found_by_its_name() {
    let all = Isa::available();
    assert_eq!(all[0].name(), "scalar");
    assert_eq!(all[all.len() - 1], Isa::detect());
    for isa in all {
        assert_eq!(Isa::named(isa.name()), Some(isa));
    }
    assert_eq!(Isa::named("mmx"), None);
}
