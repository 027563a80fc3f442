"""Bank transfers: accounts that are what they say, codes that banks read, references that find the money again."""

import base64
import io
import re
from datetime import timedelta
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session
from stdnum import iban as ibans
from stdnum import iso11649
from stdnum.ch import esr

from tests.cast import Cast
from widget import clock, transfers
from widget.accounts import BankAccount, iban_of, suited
from widget.attempts import Attempt
from widget.database import Database
from widget.errors import Refused
from widget.money import Money
from widget.orders import Order
from widget.paths import STATIC
from widget.shops import Profile, Shop
from widget.transfers import eft, epc, picture, pix, references, swiss, upi

EPC = {"scheme": "epc", "holder": "Karoo Kaffee GmbH", "iban": "DE89 3704 0044 0532 0130 00"}
SWISS = {
    "scheme": "swiss",
    "holder": "Rösti & Söhne AG",
    "iban": "CH93 0076 2011 6238 5295 7",
    "street": "Bahnhofstrasse",
    "house_number": "1a",
    "postcode": "8001",
    "city": "Zürich",
}
QR_IBAN = "CH44 3199 9123 0008 8901 2"
PIX = {"scheme": "pix", "holder": "Café São João", "key_kind": "email", "key": "loja@cafe.com.br", "city": "São Paulo"}
UPI = {"scheme": "upi", "holder": "Chai & Co", "address": "chai.shop@okicici"}
EFT = {
    "scheme": "eft",
    "currency": "ZAR",
    "holder": "Karoo Coffee",
    "bank": "First National Bank",
    "branch_code": "250 655",
    "account_number": "62001234567",
}
REFERENCE = "4941416002"
_ACCOUNT: TypeAdapter[Any] = TypeAdapter(BankAccount)
IBANS = (
    "DE89370400440532013000",
    "FR1420041010050500013M02606",
    "NL91ABNA0417164300",
    "GB29NWBK60161331926819",
    "MT84MALT011000012345MTLCAST001S",
    "NO9386011117947",
)


def account(known: dict[str, Any], **other: Any) -> Any:
    return _ACCOUNT.validate_python(known | other)


def scanned(payload: str) -> str:
    """What a banking app reads from the code."""
    png = base64.b64decode(picture.png_of(payload).split(",")[1])
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(png)).convert("L"))
    assert [each.ec_level for each in found] == ["M"]
    return str(found[0].text)


class TestAccounts:
    @pytest.mark.parametrize("iban", IBANS)
    def test_an_iban_is_kept_without_spaces_in_capitals(self, iban: str) -> None:
        assert iban_of(str(ibans.format(iban)).lower()) == iban

    @pytest.mark.parametrize(
        ("iban", "problem"),
        [
            ("DE89 3704 0044 0532 0130 01", "check digits"),
            ("DE89 3704 0044 0532 0130 0", "check digits|too short"),
            ("XX89 3704 0044 0532 0130 00", "no country|check digits"),
            ("Kreissparkasse", "IBAN"),
            ("", "IBAN"),
        ],
    )
    def test_a_wrong_iban_is_refused_with_what_is_wrong(self, iban: str, problem: str) -> None:
        with pytest.raises(ValidationError, match=problem):
            account(EPC, iban=iban)

    @settings(deadline=None)
    @given(st.sampled_from(IBANS), st.data())
    def test_an_iban_with_one_wrong_character_never_becomes_a_code(self, iban: str, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(iban) - 1))
        # A letter counts as two figures, so the check digits vouch for mistakes within one kind only.
        kind = "0123456789" if iban[at].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        other = data.draw(st.sampled_from(kind.replace(iban[at], "")))
        with pytest.raises(ValidationError):
            account(EPC, iban=iban[:at] + other + iban[at + 1 :])

    @pytest.mark.parametrize(
        ("kind", "key"),
        [
            ("cpf", "529.982.247-25"),
            ("cnpj", "16.727.230/0001-97"),
            ("cnpj", "12.ABC.345/01DE-35"),
            ("phone", "+5511912345678"),
            ("email", "loja@cafe.com.br"),
            ("random", "123e4567-e12b-12d1-a456-426655440000"),
        ],
    )
    def test_every_kind_of_pix_key_is_known(self, kind: str, key: str) -> None:
        assert account(PIX, key_kind=kind, key=key).key in {key, re.sub(r"[./-]", "", key)}

    @pytest.mark.parametrize(
        ("known", "changed"),
        [
            (PIX, {"key_kind": "cpf", "key": "529.982.247-26"}),
            (PIX, {"key_kind": "cnpj", "key": "16.727.230/0001-98"}),
            (PIX, {"key_kind": "phone", "key": "11912345678"}),
            (PIX, {"key_kind": "email", "key": "Loja@Cafe.com.br"}),
            (PIX, {"key_kind": "random", "key": "123e4567"}),
            (SWISS, {"iban": "DE89370400440532013000"}),
            (SWISS, {"currency": "USD"}),
            (UPI, {"address": "chai.shop"}),
            (UPI, {"merchant_code": "12"}),
            (EFT, {"branch_code": "25065"}),
            (EFT, {"account_number": "62-0012-34567x"}),
            (EFT, {"currency": "EUR", "snapscan": "karoo"}),
            (EPC, {"bic": "DEUTDEXX1"}),
            (EPC, {"currency": "CHF"}),
            (EPC, {"holder": "Karoo\nKaffee"}),
            (EPC, {"holder": "𐍈" * 70}),
            (EPC, {"surprise": "yes"}),
        ],
    )
    def test_what_cannot_be_an_account_is_refused(self, known: dict[str, Any], changed: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            account(known, **changed)

    @pytest.mark.parametrize(
        ("currency", "country", "scheme"),
        [
            ("EUR", "DE", "epc"),
            ("EUR", "CH", "swiss"),
            ("EUR", None, "epc"),
            ("ZAR", "DE", "eft"),
            ("USD", "US", None),
        ],
    )
    def test_the_account_suits_the_currency_and_then_the_country(
        self, currency: str, country: str | None, scheme: str | None
    ) -> None:
        held = tuple(account(each) for each in (SWISS | {"currency": "EUR"}, EPC, EFT))
        found = suited(held, currency, country)
        assert (found.scheme if found else None) == scheme

    def test_a_profile_keeps_its_accounts(self) -> None:
        profile = Profile.model_validate({"bank_accounts": [EPC, SWISS, PIX, UPI, EFT]})
        again = Profile.model_validate(profile.model_dump(mode="json"))
        assert again == profile
        assert [each.scheme for each in again.bank_accounts] == ["epc", "swiss", "pix", "upi", "eft"]

    def test_the_document_names_every_field_of_every_kind(self) -> None:
        document = (STATIC / "docs" / "bank-transfer.md").read_text()
        kinds = [*get_args(get_args(BankAccount)[0])]
        fields = {name for kind in kinds for name in kind.model_fields}
        assert {name for name in fields - {"scheme", "currency"} if f"`{name}`" not in document} == set()
        assert all(f"| `{get_args(kind.model_fields['scheme'].annotation)[0]}` |" in document for kind in kinds)


class TestEpc:
    def test_a_bank_reads_every_field(self) -> None:
        lines = scanned(epc.payload(account(EPC), Money(124950, "EUR"), REFERENCE)).split("\n")
        known = ["BCD", "002", "1", "SCT", "", "Karoo Kaffee GmbH", "DE89370400440532013000", "EUR1249.50"]
        assert lines == [*known, "", "", "49414 16002"]

    def test_a_structured_reference_has_its_own_field(self) -> None:
        lines = epc.payload(account(EPC, reference="rf", bic="COBADEFFXXX"), Money(1, "EUR"), REFERENCE).split("\n")
        assert (lines[4], lines[7], len(lines)) == ("COBADEFFXXX", "EUR0.01", 10)
        assert iso11649.is_valid(lines[9])

    @pytest.mark.parametrize("due", [Money(0, "EUR"), Money(10**11, "EUR"), Money(1250, "CHF")])
    def test_an_amount_outside_of_the_standard_makes_no_code(self, due: Money) -> None:
        with pytest.raises(ValueError, match="holds"):
            epc.payload(account(EPC), due, REFERENCE)

    @settings(deadline=None)
    @given(
        st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=70),
        st.integers(1, 10**11 - 1),
        st.sampled_from(IBANS),
    )
    def test_whatever_an_account_may_hold_fits(self, holder: str, cents: int, iban: str) -> None:
        try:
            held = account(EPC, holder=holder, iban=iban, bic="COBADEFFXXX")
        except ValidationError:
            return
        made = epc.payload(held, Money(cents, "EUR"), REFERENCE)
        assert len(made.encode()) <= 331
        assert [made.split("\n")[at] for at in (5, 6, 7)] == [holder, iban, f"EUR{cents // 100}.{cents % 100:02d}"]


class TestSwiss:
    @pytest.mark.parametrize(
        ("changed", "kind"), [({"iban": QR_IBAN}, "QRR"), ({}, "SCOR"), ({"reference": "text"}, "NON")]
    )
    def test_a_bank_reads_every_field(self, changed: dict[str, Any], kind: str) -> None:
        held = account(SWISS, **changed)
        lines = scanned(swiss.payload(held, Money(124950, "CHF"), REFERENCE)).split("\r\n")
        assert lines[:4] == ["SPC", "0200", "1", held.iban]
        assert lines[4:11] == ["S", "Rösti & Söhne AG", "Bahnhofstrasse", "1a", "8001", "Zürich", "CH"]
        assert lines[11:18] + lines[20:27] == [""] * 14
        assert (lines[18:20], lines[27], lines[30:]) == (["1249.50", "CHF"], kind, ["EPD"])
        is_valid = {"QRR": esr.is_valid, "SCOR": iso11649.is_valid}.get(kind)
        assert is_valid(lines[28]) if is_valid else lines[28] == ""
        assert lines[29] == ("49414 16002" if kind == "NON" else "")

    def test_a_qr_iban_never_takes_another_reference(self) -> None:
        held = account(SWISS, iban=QR_IBAN, reference="text")
        assert swiss.structured_reference(held, REFERENCE) == "000000000000000049414160020"

    @pytest.mark.parametrize("due", [Money(0, "CHF"), Money(10**11, "CHF"), Money(1250, "EUR")])
    def test_an_amount_outside_of_the_standard_makes_no_code(self, due: Money) -> None:
        with pytest.raises(ValueError, match="holds"):
            swiss.payload(account(SWISS), due, REFERENCE)


def emv(text: str) -> dict[str, str]:
    """Tags and values of an EMV text, one level deep."""
    found: dict[str, str] = {}
    while text:
        length = int(text[2:4])
        found[text[:2]], text = text[4 : 4 + length], text[4 + length :]
    return found


class TestPix:
    def test_a_bank_reads_every_field(self) -> None:
        tags = emv(scanned(pix.payload(account(PIX), Money(124950, "BRL"), REFERENCE)))
        assert emv(tags.pop("26")) == {"00": "br.gov.bcb.pix", "01": "loja@cafe.com.br"}
        assert emv(tags.pop("62")) == {"05": REFERENCE}
        assert tags.pop("63")
        names = {"59": "Cafe Sao Joao", "60": "Sao Paulo"}
        assert tags == {"00": "01", "52": "0000", "53": "986", "54": "1249.50", "58": "BR"} | names

    def test_the_crc_is_the_one_that_the_standard_shows(self) -> None:
        assert pix.crc("123456789") == "29B1"
        known = (
            "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR"
            "5913Fulano de Tal6008BRASILIA62070503***6304"
        )
        assert pix.crc(known) == "1D3D"

    @settings(deadline=None)
    @given(st.text(min_size=1, max_size=70), st.text(min_size=1, max_size=35), st.integers(1, 10**12 - 1))
    def test_every_length_is_told_as_it_is(self, holder: str, city: str, cents: int) -> None:
        try:
            held = account(PIX, holder=holder, city=city)
        except ValidationError:
            return
        made = pix.payload(held, Money(cents, "BRL"), REFERENCE)
        tags = emv(made)
        assert made.isascii()
        assert (len(tags["59"]) <= 25, len(tags["60"]) <= 15) == (True, True)
        assert tags["54"] == f"{cents // 100}.{cents % 100:02d}"
        assert tags["63"] == pix.crc(made[:-4])


class TestUpiAndEft:
    def test_a_upi_app_reads_every_field(self) -> None:
        link = urlsplit(scanned(upi.payload(account(UPI, merchant_code="5411"), Money(124950, "INR"), REFERENCE)))
        said = {name: values[0] for name, values in parse_qs(link.query).items()}
        assert (link.scheme, link.netloc) == ("upi", "pay")
        who = {"pa": "chai.shop@okicici", "pn": "Chai & Co", "mc": "5411"}
        assert said == who | {"tr": REFERENCE, "tn": REFERENCE, "am": "1249.50", "cu": "INR"}

    def test_more_than_a_lakh_makes_no_upi_code(self) -> None:
        with pytest.raises(ValueError, match="rupees"):
            upi.payload(account(UPI), Money(100_000_01, "INR"), REFERENCE)

    def test_snapscan_reads_cents_and_the_reference(self) -> None:
        link = scanned(eft.payload(account(EFT, snapscan="karoo1"), Money(124950, "ZAR"), REFERENCE))
        assert link == f"https://pos.snapscan.io/qr/karoo1?id={REFERENCE}&amount=124950&strict=true"

    def test_a_plain_account_has_no_code(self) -> None:
        with pytest.raises(ValueError, match="no code"):
            eft.payload(account(EFT), Money(124950, "ZAR"), REFERENCE)


drawn = st.builds(references.draw)


class TestReferences:
    @settings(deadline=None)
    @given(drawn)
    def test_a_reference_is_found_in_every_spelling(self, reference: str) -> None:
        spellings = (
            reference,
            references.shown_reference(reference),
            references.as_creditor_reference(reference),
            str(iso11649.format(references.as_creditor_reference(reference))),
            references.as_qr_reference(reference),
            str(esr.format(references.as_qr_reference(reference))),
            f"Order D-1001 ref.{reference}, thanks",
            f"SVWZ+{reference[:4]}-{reference[4:]}EREF+NOTPROVIDED",
        )
        assert [references.reference_in(each)[0] for each in spellings] == [reference] * len(spellings)

    @settings(deadline=None)
    @given(drawn, st.integers(0, 9), st.sampled_from("0123456789"))
    def test_one_wrong_figure_never_makes_another_reference(self, reference: str, at: int, other: str) -> None:
        wrong = reference[:at] + other + reference[at + 1 :]
        assert references.is_valid(wrong) == (wrong == reference)

    @settings(deadline=None)
    @given(drawn, st.integers(0, 8))
    def test_two_figures_that_changed_places_never_make_another_reference(self, reference: str, at: int) -> None:
        wrong = reference[:at] + reference[at + 1] + reference[at] + reference[at + 2 :]
        assert references.is_valid(wrong) == (wrong == reference)

    @settings(deadline=None)
    @given(drawn)
    def test_what_schemes_write_around_it_is_valid_to_them(self, reference: str) -> None:
        assert iso11649.is_valid(references.as_creditor_reference(reference))
        assert esr.is_valid(references.as_qr_reference(reference))
        assert len(references.as_qr_reference(reference)) == 27

    @pytest.mark.parametrize("text", ["", "Order D-1001", "RF", "4941416003", "49414", "٤٩٤١٤١٦٠٠٢"])
    def test_what_is_no_reference_is_none(self, text: str) -> None:
        assert references.reference_in(text) == []


PROFILE = {"bank_accounts": [EPC, EFT, SWISS]}


class TestTransfer:
    @pytest.fixture
    def cast(self, database: Database) -> Cast:
        with database.write() as session:
            cast = Cast(session, profile=PROFILE)
            self.attempt_id, self.shop_id = cast.attempt().id, cast.shop.id
            self.other_order_id = cast.attempt("D-2002").order_id
            return cast

    def instructions(self, database: Database, **other: Any) -> transfers.Instructions:
        with database.write() as session:
            self.load(session)
            asked: dict[str, Any] = {"now": clock.now(), "locale": "en-ZA"} | other
            return transfers.instructions(session, self.shop, self.attempt, self.order, **asked)

    def load(self, session: Session) -> None:
        self.attempt = session.get_one(Attempt, self.attempt_id)
        self.order = session.get_one(Order, self.attempt.order_id)
        self.shop = session.get_one(Shop, self.shop_id)

    def test_asked_again_it_is_the_same_transfer(self, database: Database, cast: Cast) -> None:
        first, second = self.instructions(database), self.instructions(database)
        assert first.transfer.id == second.transfer.id
        assert first.amount == Money(124900, "ZAR")
        assert [line.label for line in first.lines] == [
            "Bank",
            "Account holder",
            "Account number",
            "Branch code",
            "Transfer reference",
            "Amount",
        ]
        assert (first.qr, first.days, first.is_announced) == (None, (0, 2), False)

    def test_another_amount_is_another_transfer(self, database: Database, cast: Cast) -> None:
        whole, rest = self.instructions(database), self.instructions(database, due=Money(50000, "ZAR"))
        assert whole.reference != rest.reference
        assert rest.amount == Money(50000, "ZAR")

    def test_what_is_copied_has_no_spaces_and_the_readers_decimal_mark(self, database: Database, cast: Cast) -> None:
        copied = {line.label: line.copied for line in self.instructions(database, locale="de").lines}
        assert (copied["Amount"], copied["Branch code"]) == ("1249,00", "250655")
        assert re.fullmatch(r"\d{10}", copied["Transfer reference"])

    def test_money_is_found_by_what_the_bank_wrote(self, database: Database, cast: Cast) -> None:
        told = self.instructions(database)
        with database.read() as session:
            found = transfers.by_reference(session, self.shop_id, f"PAYMENT {told.reference} SAM")
            elsewhere = transfers.by_reference(session, self.shop_id + 1, told.reference)
        assert found is not None
        assert (found.id, elsewhere) == (told.transfer.id, None)

    def test_two_references_in_one_text_are_no_answer(self, database: Database, cast: Cast) -> None:
        one, two = self.instructions(database), self.instructions(database, due=Money(50000, "ZAR"))
        with database.read() as session:
            text = f"{one.reference} / {two.reference}"
            assert transfers.by_reference(session, self.shop_id, text) is None

    def test_what_was_announced_stands_until_it_is_taken_back(self, database: Database, cast: Cast) -> None:
        told = self.instructions(database)
        with database.write() as session:
            self.load(session)
            transfers.announce(session, self.order, told.transfer.id, clock.now())
            assert transfers.is_announced(session, self.order)
            transfers.take_back(session, self.order, told.transfer.id, clock.now())
            assert not transfers.is_announced(session, self.order)
            with pytest.raises(Refused):
                transfers.announce(session, self.order, told.transfer.id, clock.now())

    def test_an_announced_transfer_is_shown_whatever_else_is_asked(self, database: Database, cast: Cast) -> None:
        told = self.instructions(database)
        with database.write() as session:
            self.load(session)
            transfers.announce(session, self.order, told.transfer.id, clock.now())
        again = self.instructions(database, due=Money(50000, "ZAR"), now=clock.now() + timedelta(days=30))
        assert (again.transfer.id, again.is_announced) == (told.transfer.id, True)

    def test_received_money_is_not_on_its_way_any_more(self, database: Database, cast: Cast) -> None:
        told = self.instructions(database)
        with database.write() as session:
            self.load(session)
            given = transfers.announce(session, self.order, told.transfer.id, clock.now())
            transfers.receive(given, clock.now())
            assert not transfers.is_announced(session, self.order)
            with pytest.raises(Refused):
                transfers.take_back(session, self.order, told.transfer.id, clock.now())

    def test_an_order_paid_otherwise_gives_up_what_nobody_has_sent(self, database: Database, cast: Cast) -> None:
        sent = self.instructions(database)
        rest = self.instructions(database, due=Money(50000, "ZAR"))
        with database.write() as session:
            self.load(session)
            transfers.announce(session, self.order, sent.transfer.id, clock.now())
            assert transfers.cancel_open(session, self.order, clock.now()) == 1
            assert transfers.is_announced(session, self.order)
            assert session.get_one(transfers.Transfer, rest.transfer.id).cancelled_at is not None

    def test_the_transfer_of_another_order_cannot_be_touched(self, database: Database, cast: Cast) -> None:
        told = self.instructions(database)
        with database.write() as session:
            self.load(session)
            order = session.get_one(Order, self.other_order_id)
            with pytest.raises(Refused):
                transfers.announce(session, order, told.transfer.id, clock.now())

    def test_a_paid_order_and_a_currency_without_account_are_refused(self, database: Database, cast: Cast) -> None:
        with pytest.raises(Refused):
            self.instructions(database, due=Money(100, "USD"))
        with database.write() as session:
            self.load(session)
            self.order.paid_at = clock.now()
        with pytest.raises(Refused):
            self.instructions(database)
