use super::*;
use crate::fixtures::{certificate, local_guarantee};
use crate::signature::{CertificateKey, text};

fn key() -> CertificateKey {
    CertificateKey::from_bytes([5; 32])
}

/// Signs what `change` makes of a good certificate: a signer who lies.
fn lie(change: impl FnOnce(&mut Certificate)) -> Verification {
    let mut changed = certificate(Some(local_guarantee()));
    change(&mut changed);
    verify(&key().sign(&changed)).unwrap()
}

#[test]
fn an_honest_certificate_has_no_problems() {
    let found = lie(|_| {});
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!(found.signed_by, Ok(key().public_key()));
    let (recomputed, stated) = (found.epsilon.unwrap(), found.certificate.training.epsilon);
    assert!((recomputed / stated - 1.0).abs() < 1e-9);
}

#[test]
fn every_lie_in_a_figure_is_found() {
    type Lie = (&'static str, fn(&mut Certificate));
    let lies: [Lie; 15] = [
        ("a smaller epsilon", |c| c.training.epsilon *= 0.999),
        ("more steps", |c| c.training.steps += 1),
        ("a larger batch", |c| c.training.expected_batch_size *= 2),
        ("less noise", |c| c.training.noise_multiplier *= 0.99),
        ("losses for free", |c| c.training.loss_noise_multiplier = Some(1.0)),
        ("no noise at all", |c| c.training.noise_multiplier = 0.0),
        ("a smaller delta", |c| c.training.delta /= 10.0),
        ("another rate", |c| c.training.sampling_rate /= 2.0),
        ("another noise", |c| c.training.noise = "gaussian".into()),
        ("another clipping norm", |c| c.training.max_grad_norm = 2.0),
        ("another clipping rule", |c| c.training.clipping = dp::Clipping::Auto),
        ("an epsilon that is no number", |c| c.training.epsilon = f64::MAX),
        ("a longest record that is too cheap", |c| {
            c.local.as_mut().unwrap().epsilon_of_longest_record = 8.0;
        }),
        ("a record longer than the text", |c| c.local.as_mut().unwrap().tokens = 99),
        ("a version that is not known", |c| c.version = 3),
    ];
    for (name, change) in lies {
        assert!(!lie(change).problems.is_empty(), "{name}");
    }
}

#[test]
fn a_missing_or_broken_signature_is_a_problem() {
    let unsigned = verify(&text(&certificate(None))).unwrap();
    assert_eq!(unsigned.problems, [SignatureError::Unsigned.to_string()]);
    let tampered = key().sign(&certificate(None)).replace("\"0.1.0\"", "\"0.1.1\"");
    assert_eq!(verify(&tampered).unwrap().signed_by, Err(SignatureError::Wrong));
    assert_eq!(verify("not json").unwrap_err(), SignatureError::NotACertificate);
}
